package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// embedded is a JetStream server within this process.
type embedded struct {
	server  *server.Server
	log     *serverLogger
	staging *staging
}

// startEmbedded starts a server over the files in dir. On an error nothing is
// left running.
func startEmbedded(ctx context.Context, dir string, log hclog.Logger) (*embedded, error) {
	if err := removeStale(dir, diskStreams); err != nil {
		return nil, fmt.Errorf("tidying what a host that was killed left: %w", err)
	}
	srv, err := server.NewServer(&server.Options{
		ServerName:             "auricle",
		DontListen:             true, // no port: reached in process only
		NoSigs:                 true, // signals are the host's
		NoSystemAccount:        true,
		DisableJetStreamBanner: true,
		JetStream:              true,
		StoreDir:               dir,
		SyncAlways:             true, // what is acknowledged is on the disk
		MaxPayload:             2 * MaxMessageBytes,
		// The default is a share of what the disk has free at this start,
		// against which what is stored already would count again. A full
		// disk is an error of the write that meets it.
		JetStreamMaxStore:  math.MaxInt64 / 2,
		JetStreamMaxMemory: 64 << 20, // no stream is kept in memory
	})
	if err != nil {
		return nil, fmt.Errorf("configuring the embedded server: %w", err)
	}
	e := &embedded{server: srv, log: &serverLogger{log: log, alarm: make(chan struct{}, 1)}, staging: &staging{}}
	srv.SetLoggerV2(e.log, false, false, false)

	// Ends when the server is up or has given up; Start reads through the
	// stored files. Waited for here, on an early end too.
	started := make(chan struct{})
	go func() {
		defer close(started)
		srv.Start()
	}()
	select {
	case <-started:
	case <-ctx.Done():
		srv.Shutdown()
		<-started
		e.stop()
		return nil, fmt.Errorf("starting the embedded server: %w", ctx.Err())
	}
	if !srv.JetStreamEnabled() {
		e.stop()
		return nil, fmt.Errorf("starting the embedded server: %w", e.log.cause())
	}
	return e, nil
}

// options are what a connection to the server is made with.
func (e *embedded) options() []nats.Option {
	return []nats.Option{nats.InProcessServer(e.server), nats.ReconnectWait(50 * time.Millisecond)}
}

// stage lets batches be set down in memory where that can be, and returns the
// least number of messages that is worth a batch. The streams exist.
func (e *embedded) stage(dir string) int {
	var err error
	if e.staging, err = stage(dir, diskStreams); err != nil {
		e.log.log.Info("batches are set down on disk, which makes them slower", "reason", err)
		return minBatchOnDisk
	}
	return minBatch
}

// ready returns why no write can be taken, or nil.
func (e *embedded) ready() error {
	switch {
	case !e.server.Running():
		return errStopped
	case !e.server.JetStreamEnabled():
		return errStoppedStoring
	}
	return nil
}

// stop ends the server and waits for it.
func (e *embedded) stop() {
	e.server.Shutdown()
	e.server.WaitForShutdown()
	if err := e.staging.remove(); err != nil {
		e.log.log.Warn("could not remove the folder that batches were set down in", "error", err)
	}
}
