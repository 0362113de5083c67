// Package bridge holds the webhook bridge: the app that the host runs for each
// app block with a webhook block (docs/webhooks.md). Its source is in the folder
// app; it is an ordinary app, built with the SDK, that ships inside the host's
// binary so that the host stays one file.
//
// It imports nothing of ours, and knows nothing of what the app does.
package bridge

import (
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// ErrNotBuilt is returned by a host that was built without the bridge.
var ErrNotBuilt = errors.New("this auricle was built without the webhook bridge")

// built has webhook.wasm.gz, where make has put it. The README keeps the folder
// for those who build without make.
//
//go:embed built
var built embed.FS

// maxModuleBytes bounds what is unpacked; the bridge has about 4 MB.
const maxModuleBytes = 32 << 20

// Module appends the bridge's module to into. It returns ErrNotBuilt where the
// host's binary has none.
func Module(into *bytes.Buffer) error {
	f, err := built.Open("built/webhook.wasm.gz")
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotBuilt
	}
	if err != nil {
		return err
	}
	defer f.Close() // it is only read
	return unpack(into, f)
}

func unpack(into *bytes.Buffer, packed io.Reader) error {
	z, err := gzip.NewReader(packed)
	if err != nil {
		return fmt.Errorf("unpacking the webhook bridge: %w", err)
	}
	n, err := into.ReadFrom(io.LimitReader(z, maxModuleBytes+1))
	if err == nil && n > maxModuleBytes {
		err = fmt.Errorf("it has more than %d MiB", maxModuleBytes>>20)
	}
	if err != nil {
		return fmt.Errorf("unpacking the webhook bridge: %w", err)
	}
	return nil
}
