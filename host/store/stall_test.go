//go:build linux && amd64

package store_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
	"golang.org/x/sys/unix"
)

// stallingDisk is set in the process whose syncs can be held up.
const stallingDisk = "AURICLE_TEST_STALLING_DISK"

// syncs holds up what this process syncs: the kernel asks it before each one.
type syncs struct {
	listener uintptr

	mu    sync.Mutex // guards the next two
	held  []uint64   // ids of syncs that wait for an answer
	stall bool

	waiting chan struct{} // holds one once a sync waits
}

// Of linux/seccomp.h.
const (
	seccompSetModeFilter = 1
	seccompTsync         = 1
	seccompNewListener   = 8
	seccompTsyncESRCH    = 16
	seccompRetAllow      = 0x7fff0000
	seccompRetUserNotif  = 0x7fc00000
	seccompNotifRecv     = 0xc0502100
	seccompNotifSend     = 0xc0182101
	seccompContinue      = 1
)

type seccompNotif struct {
	id         uint64
	pid, flags uint32
	data       [64]byte
}

type seccompAnswer struct {
	id           uint64
	value        int64
	error, flags uint32
}

// holdSyncs has the kernel ask before each sync of this process, from now on.
func holdSyncs(t *testing.T) *syncs {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Skip("syncs can't be held up here:", err)
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: unix.SYS_FSYNC},
		{Code: unix.BPF_RET | unix.BPF_K, K: seccompRetAllow},
		{Code: unix.BPF_RET | unix.BPF_K, K: seccompRetUserNotif},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, seccompSetModeFilter,
		seccompTsync|seccompTsyncESRCH|seccompNewListener, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		t.Skip("syncs can't be held up here:", errno)
	}
	s := &syncs{listener: fd, waiting: make(chan struct{}, 1)}
	go s.answer() // ends with the process
	return s
}

func (s *syncs) answer() {
	for {
		var n seccompNotif
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, s.listener, seccompNotifRecv, uintptr(unsafe.Pointer(&n))); errno != 0 {
			continue
		}
		s.mu.Lock()
		if s.stall {
			s.held = append(s.held, n.id)
			select {
			case s.waiting <- struct{}{}:
			default:
			}
		} else {
			s.goOn(n.id)
		}
		s.mu.Unlock()
	}
}

func (s *syncs) goOn(id uint64) {
	a := seccompAnswer{id: id, flags: seccompContinue}
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, s.listener, seccompNotifSend, uintptr(unsafe.Pointer(&a)))
}

// hold lets no sync return, until release.
func (s *syncs) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stall = true
}

func (s *syncs) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stall = false
	for _, id := range s.held {
		s.goOn(id)
	}
	s.held = nil
}

// While the disk syncs nothing, who writes waits as long as it wants to, the
// store is ready and can be read, and what was written is there afterwards:
// once, though who gave up came again.
func TestAStalledDiskDelaysWritesOnly(t *testing.T) {
	if os.Getenv(stallingDisk) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
		cmd.Env = append(os.Environ(), stallingDisk+"=1")
		out, err := cmd.CombinedOutput()
		t.Logf("with a disk that stalls:\n%s", out)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "--- SKIP") {
			t.Skip("syncs can't be held up here")
		}
		return
	}
	disk := holdSyncs(t)
	s := open(t, t.TempDir())
	ctx := t.Context()
	must(t, s.Complete(ctx, conversation("c_done", "ann", event.Segment{ID: "1", Text: "done"}), nil))
	talk := conversation("c_talk", "ann")
	rev := appendTo(t, s, part(talk, event.Segment{ID: "1", Text: "first", Start: 1}), 0)

	disk.hold()
	type answer struct {
		rev store.Revision
		err error
	}
	patient := make(chan answer, 1)
	go func() {
		rev, err := s.Append(ctx, part(talk, event.Segment{ID: "2", Text: "second", Start: 2}), rev)
		patient <- answer{rev, err}
	}()
	<-disk.waiting
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	other := part(conversation("c_other", "bob"), event.Segment{ID: "1", Text: "hello"})
	if _, err := s.Append(short, other, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an append that waits no longer: %v, want its deadline", err)
	}
	// What is held of sessions is in the stream that is stalled; asking for it
	// holds up nobody else.
	asked, cancelAsked := context.WithCancel(ctx)
	defer cancelAsked()
	sessions := make(chan error, 1)
	go func() {
		_, err := s.Session(asked, "s_1")
		sessions <- err
	}()
	if page, err := s.Conversations(ctx, "ann", 20, ""); err != nil || len(page.Conversations) != 1 {
		t.Errorf("listing: %+v, %v", page, err)
	}
	if r, err := s.Conversation(ctx, "c_done"); err != nil || r.Segments[0].Text != "done" {
		t.Errorf("reading: %+v, %v", r, err)
	}
	select {
	case a := <-patient:
		t.Errorf("an append returned %v while nothing could be synced", a)
	default:
	}

	must(t, s.Complete(ctx, conversation("c_done", "ann"), nil)) // is known to be there
	disk.release()
	must(t, <-sessions)
	a := <-patient
	must(t, a.err)
	appendTo(t, s, part(talk, event.Segment{ID: "3", Text: "third", Start: 3}), a.rev)
	otherRev := appendTo(t, s, other, 0) // it came again
	appendTo(t, s, part(other.Conversation, event.Segment{ID: "2"}), otherRev)
	until(t, "it is ready", func() bool { return s.Ready() == nil })
	held, err := s.Unfinished(ctx)
	must(t, err)
	if len(held) != 2 || len(held[0].Conversation.Segments) != 2 || len(held[1].Conversation.Segments) != 3 {
		t.Errorf("held: %+v, want two segments of c_other, three of c_talk", held)
	}
}
