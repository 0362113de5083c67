package plugins_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sync"
	"testing"
)

// published is a file of a package that somebody else published.
type published struct {
	registry string // "go" or "npm"
	name     string // of the package, with its version
	file     string // in it
	sha256   string
}

// fetched are the folders and archives of packages, each got once.
var fetched sync.Map // package to func() (string, error)

// fetch returns the file's bytes. The test is skipped if the package can't be
// had, and fails if the file is not the one expected.
func (p published) fetch(t *testing.T) []byte {
	t.Helper()
	once, _ := fetched.LoadOrStore(p.registry+" "+p.name, sync.OnceValues(func() (string, error) { return p.get() }))
	where, err := once.(func() (string, error))()
	if err != nil {
		t.Skipf("%s can't be fetched, so what it holds is not tested: %v", p.name, err)
	}
	var b []byte
	if p.registry == "npm" {
		b, err = fileOf(where, path.Join("package", p.file))
	} else {
		b, err = os.ReadFile(filepath.Join(where, filepath.FromSlash(p.file)))
	}
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != p.sha256 {
		t.Fatalf("%s of %s has sha256 %x, want %s", p.file, p.name, sum, p.sha256)
	}
	return b
}

// get has the registry's own client fetch the package into its own cache (npm:
// and an archive from there), and returns where it is.
func (p published) get() (string, error) {
	dir, err := os.MkdirTemp(registryTemp, "package") // outside of every module
	if err != nil {
		return "", err
	}
	var out, errOut bytes.Buffer
	cmd := exec.Command("go", "mod", "download", "-json", p.name)
	// Each file's hash is in the table: no other record of hashes is needed.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOSUMDB=off", "GONOSUMCHECK=1")
	if p.registry == "npm" {
		cmd = exec.Command("npm", "pack", "--silent", "--prefer-offline", p.name)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errOut
	err = cmd.Run()
	if p.registry == "npm" {
		if err != nil {
			return "", fmt.Errorf("npm pack: %w\n%s", err, errOut.Bytes())
		}
		return filepath.Join(dir, string(bytes.TrimSpace(out.Bytes()))), nil
	}
	var module struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out.Bytes(), &module); module.Error != "" || jsonErr != nil || err != nil {
		return "", fmt.Errorf("go mod download: %w\n%s%s", errors.Join(err, jsonErr), module.Error, errOut.Bytes())
	}
	return module.Dir, nil
}

// fileOf returns a file of a gzipped tar archive.
func fileOf(archive, name string) ([]byte, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			return nil, fmt.Errorf("looking for %s in %s: %w", name, archive, err)
		}
		if h.Name == name {
			return io.ReadAll(t)
		}
	}
}
