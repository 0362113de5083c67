package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk/client"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// served is an auricle serve in a process of its own.
type served struct {
	t         *testing.T
	cmd       *exec.Cmd
	logs      *bufio.Scanner
	addr      string // clients'
	operators string
	file      string // the configuration
}

// startServe runs auricle serve on a free port until it says that it serves.
func startServe(t *testing.T, hcl string) *served {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "config.hcl")
	if err := os.WriteFile(file, []byte(hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	s := &served{t: t, file: file, cmd: exec.CommandContext(ctx, "auricle", "serve", "-config", file, "-listen", "127.0.0.1:0", "-operators-listen", "127.0.0.1:0")}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() }) // one that has ended can't be killed
	s.logs = bufio.NewScanner(stderr)
	line := s.await("serving")
	m := regexp.MustCompile(`address=(\S+) operators=(\S+)`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("no address in %q", line)
	}
	s.addr, s.operators = m[1], m[2]
	return s
}

// await reads the log until a line has text in it.
func (s *served) await(text string) string {
	s.t.Helper()
	var seen []string
	for s.logs.Scan() {
		seen = append(seen, s.logs.Text())
		if strings.Contains(s.logs.Text(), text) {
			return s.logs.Text()
		}
	}
	s.t.Fatalf("the log ended without %q:\n%s", text, strings.Join(seen, "\n"))
	return ""
}

func (s *served) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// wait returns how the process ended.
func (s *served) wait() error {
	for s.logs.Scan() { // Wait wants the pipe to be read to its end
	}
	return s.cmd.Wait()
}

// waitGuest returns the path of a module that takes its time with
// conversations.
func waitGuest(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("seed", "guests", "wait.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestServeStopsCleanlyOnSIGTERM(t *testing.T) {
	s := startServe(t, `data_dir = "data"`)
	s.signal(syscall.SIGTERM)
	if err := s.wait(); err != nil {
		t.Errorf("serve ended with %v, want exit code 0", err)
	}
}

func TestServeEndsAtOnceOnASecondSignal(t *testing.T) {
	s := startServe(t, `
		data_dir = "data"
		drain    = "1h"
		app "wait" {
		  module   = "`+waitGuest(t)+`"
		  grant    = ["conversation"]
		  settings = { ms = 500000 }
		  limits { wall = "10m" }
		}`)
	// The app is busy with the conversation when the host is told to stop.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	completed := make(chan struct{})
	played := make(chan error, 1)
	go func() { // ends with the stream; waited for below
		_, err := play(ctx, playOptions{
			URL: "ws://" + s.addr + "/v1/stream", UID: "ada", Speed: asFastAsItGoes,
			Segments: []event.Segment{{ID: "1", Text: "That is all.", End: 1}},
			OnMessage: func(m client.Message) {
				if c, ok := m.Message.(*wire.Conversation); ok && c.State == wire.StateCompleted {
					close(completed)
				}
			},
		})
		played <- err
	}()
	select {
	case <-completed:
	case err := <-played:
		t.Fatalf("the stream ended before its conversation completed: %v", err)
	}
	s.signal(syscall.SIGTERM)
	s.await("shutting down")
	s.signal(syscall.SIGTERM)
	var exit *exec.ExitError
	if err := s.wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("serve ended with %v, want it ended by the second SIGTERM", err)
	}
	<-played
}

func TestServeReloadsOnSIGHUP(t *testing.T) {
	s := startServe(t, `data_dir = "data"`)
	edit := func(hcl string) {
		t.Helper()
		if err := os.WriteFile(s.file, []byte(hcl), 0o600); err != nil {
			t.Fatal(err)
		}
		s.signal(syscall.SIGHUP)
	}
	edit(`
		data_dir = "data"
		app "wait" {
		  module   = "` + waitGuest(t) + `"
		  grant    = ["conversation"]
		  settings = { ms = 1 }
		}`)
	s.await("app added: app=wait")
	s.await("configuration reloaded")
	edit(`data_dir = 7`)
	s.await("config.hcl:1:12: data_dir: expected")
	s.await("nothing was changed")
	// The flag of the command line still stands before the file.
	edit(`
		data_dir = "data"
		listen   = "127.0.0.1:1"`)
	s.await("app removed: app=wait")
	s.await("configuration reloaded: kept=0 added=0 changed=0 removed=1")
	s.signal(syscall.SIGTERM)
	if err := s.wait(); err != nil {
		t.Errorf("serve ended with %v, want exit code 0", err)
	}
}
