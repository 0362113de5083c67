//go:build linux

package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
	"golang.org/x/sys/unix"
)

// smallDisk is set to a folder in the process that has a small disk there.
const smallDisk = "AURICLE_TEST_SMALL_DISK"

// onSmallDisk runs the calling test again in a process of its own, with a small
// disk, and returns its folder there; here it returns "" when that has passed.
func onSmallDisk(t *testing.T, megabytes int) string {
	if dir := os.Getenv(smallDisk); dir != "" {
		must(t, unix.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)))
		return dir
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=120s")
	cmd.Env = append(os.Environ(), smallDisk+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Skipf("a disk of its own can't be made here: %v", err)
	}
	err := cmd.Wait()
	switch {
	case err != nil && strings.Contains(out.String(), "operation not permitted"):
		t.Skipf("a disk of its own can't be mounted here: %v", err)
	case err != nil:
		t.Fatalf("on a small disk: %v\n%s", err, out.String())
	}
	t.Logf("on a small disk:\n%s", out.String())
	return ""
}

// speaker appends to one conversation until stop, and remembers what was
// acknowledged.
type speaker struct {
	id    string
	acked atomic.Int64 // segments
}

func (p *speaker) speak(ctx context.Context, s *store.Store) error {
	var rev store.Revision
	pause := time.NewTicker(4 * time.Millisecond)
	defer pause.Stop()
	for ctx.Err() == nil {
		seg := event.Segment{ID: fmt.Sprint(p.acked.Load()), Text: strings.Repeat("talk ", 300), Start: float64(p.acked.Load())}
		next, err := s.Append(ctx, part(conversation(p.id, "ann"), seg), rev)
		switch {
		case err == nil:
			rev = next
			p.acked.Add(1)
		case ctx.Err() == nil && !errors.Is(err, store.ErrUnavailable):
			return fmt.Errorf("%s: %w", p.id, err)
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// counts returns how many segments of each speaker were acknowledged.
func counts(speakers []speaker) map[string]int {
	n := map[string]int{}
	for i := range speakers {
		n[speakers[i].id] = int(speakers[i].acked.Load())
	}
	return n
}

// hasAll fails the test unless the store has as many segments as given of each
// conversation, or more.
func hasAll(t *testing.T, s *store.Store, want map[string]int) {
	t.Helper()
	held, err := s.Unfinished(t.Context())
	must(t, err)
	got := map[string]int{}
	for _, h := range held {
		for i, seg := range h.Conversation.Segments {
			if seg.ID != fmt.Sprint(i) {
				t.Fatalf("%s: segment %s in place %d", h.Conversation.ID, seg.ID, i)
			}
		}
		got[h.Conversation.ID] = len(h.Conversation.Segments)
	}
	for id, n := range want {
		if got[id] < n {
			t.Errorf("%s: %d segments were acknowledged, %d are there", id, n, got[id])
		}
	}
}

// until waits for a condition, which is looked at often.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// fillDisk fills the disk up to what is to be left, and returns what empties it.
func fillDisk(t *testing.T, dir string, left int64) (empty func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	must(t, err)
	defer f.Close()
	for chunk := make([]byte, 64<<10); ; {
		var st unix.Statfs_t
		must(t, unix.Statfs(dir, &st))
		if int64(st.Bavail)*st.Bsize <= left {
			break
		}
		if _, err := f.Write(chunk); errors.Is(err, unix.ENOSPC) {
			break
		} else {
			must(t, err)
		}
	}
	return func() { must(t, os.Remove(f.Name())) }
}

// While the disk is full nothing is acknowledged; when there is room again, all
// goes on, and all that ever was acknowledged is there. Both where the reserve
// is met before the disk is full, and where a write meets its end.
func TestAFullDisk(t *testing.T) {
	disk := onSmallDisk(t, 48)
	if disk == "" {
		return
	}
	for name, c := range map[string]struct{ reserve, left int64 }{
		"the reserve is met": {8 << 20, 7 << 20},
		"a write fails":      {1, 0},
	} {
		t.Run(name, func(t *testing.T) { testFullDisk(t, disk, c.reserve, c.left) })
	}
}

func testFullDisk(t *testing.T, disk string, reserve, left int64) {
	dir := filepath.Join(disk, "data")
	defer os.RemoveAll(dir) // for the next
	s, err := store.Open(t.Context(), store.Options{Dir: dir, Reserve: reserve})
	must(t, err)
	must(t, s.Complete(t.Context(), conversation("c_before", "ann"), nil))

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var (
		speakers = make([]speaker, 6)
		running  sync.WaitGroup
		errs     = make(chan error, len(speakers))
	)
	for i := range speakers {
		speakers[i].id = fmt.Sprintf("c_%d", i)
		running.Go(func() { errs <- speakers[i].speak(ctx, s) })
	}
	someStored := func() {
		begin := speakers[0].acked.Load()
		until(t, "some is stored", func() bool { return speakers[0].acked.Load() > begin+10 })
	}
	for round := range 2 {
		someStored()
		if err := s.Ready(); err != nil {
			t.Errorf("round %d: ready: %v", round, err)
		}
		empty := fillDisk(t, disk, left)
		until(t, "it is not ready", func() bool { return s.Ready() != nil })
		if err := s.Ready(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("round %d: ready: %v, want ErrUnavailable", round, err)
		}
		began := time.Now()
		err := s.Complete(t.Context(), conversation("c_full", "ann"), nil)
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "make room for") {
			t.Errorf("round %d: a write: %v, want ErrUnavailable and how much room is missing", round, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("round %d: it took %v to refuse a write", round, took)
		}
		if _, err := s.Conversation(t.Context(), "c_before"); err != nil {
			t.Errorf("round %d: reading: %v", round, err)
		}
		// What a host that is killed now leaves.
		want := counts(speakers)
		dead := filepath.Join(t.TempDir(), "dead")
		must(t, os.CopyFS(dead, os.DirFS(dir)))
		d := open(t, dead)
		hasAll(t, d, want)
		must(t, d.Close(t.Context()))

		empty()
		until(t, "it is ready", func() bool { return s.Ready() == nil })
	}
	someStored()
	must(t, s.Complete(t.Context(), conversation("c_full", "ann"), nil))
	stop()
	running.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	want := counts(speakers)
	hasAll(t, s, want)
	must(t, s.Close(t.Context()))
	s = open(t, dir)
	hasAll(t, s, want)
	for _, id := range []string{"c_before", "c_full"} {
		if _, err := s.Conversation(t.Context(), id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	must(t, s.Close(t.Context()))

	// A host that starts while the disk is full can be read.
	empty := fillDisk(t, disk, left)
	s, err = store.Open(t.Context(), store.Options{Dir: dir, Reserve: reserve})
	must(t, err)
	hasAll(t, s, want)
	n := 0
	until(t, "it takes no writes", func() bool {
		n++ // what little is left is used
		return errors.Is(s.Complete(t.Context(), conversation(fmt.Sprintf("c_little%d", n), "ann"), nil), store.ErrUnavailable)
	})
	empty()
	until(t, "it is ready", func() bool { return s.Ready() == nil })
	must(t, s.Complete(t.Context(), conversation("c_last", "ann"), nil))
	must(t, s.Close(t.Context()))
}
