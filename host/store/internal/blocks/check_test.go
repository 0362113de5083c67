package blocks_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/auricle-dev/auricle/host/store/internal/blocks"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// rig is a JetStream server over the files in dir, with one stream.
type rig struct {
	dir    string
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
}

const streamName = "TALK"

// serve starts a server over dir.
func serve(tb testing.TB, dir string) *rig {
	tb.Helper()
	s, err := server.NewServer(&server.Options{
		DontListen: true, NoSigs: true, NoSystemAccount: true, DisableJetStreamBanner: true,
		JetStream: true, StoreDir: dir, SyncAlways: true, JetStreamMaxStore: 1 << 40,
	})
	must(tb, err)
	s.Start()
	r := &rig{dir: dir, server: s}
	tb.Cleanup(func() { r.stop() })
	r.conn, err = nats.Connect("", nats.InProcessServer(s))
	must(tb, err)
	r.js, err = jetstream.New(r.conn)
	must(tb, err)
	r.stream, err = r.js.CreateOrUpdateStream(tb.Context(), jetstream.StreamConfig{
		Name: streamName, Subjects: []string{"talk.>"}, Storage: jetstream.FileStorage, AllowRollup: true, AllowMsgTTL: true,
		AllowDirect: true, AllowAtomicPublish: true,
		MaxBytes: 127_000, // blocks of 32 KB
	})
	must(tb, err)
	return r
}

// stop stops the server and returns what is noted then.
func (r *rig) stop() map[string]blocks.Stop {
	if r.conn != nil {
		r.conn.Close()
	}
	r.server.Shutdown()
	r.server.WaitForShutdown()
	stopped, err := blocks.Stopped(r.dir)
	if err != nil {
		panic(err)
	}
	return stopped
}

// messages reads all that the server has: subject and body by sequence.
func (r *rig) messages(tb testing.TB) map[uint64]string {
	tb.Helper()
	info, err := r.stream.Info(tb.Context())
	must(tb, err)
	all := map[uint64]string{}
	for s := info.State.FirstSeq; s <= info.State.LastSeq; s++ {
		m, err := r.stream.GetMsg(tb.Context(), s)
		if err != nil {
			continue
		}
		all[s] = m.Subject + " " + string(m.Data)
	}
	if len(all) != int(info.State.Msgs) {
		tb.Errorf("%d messages can be read, the server says %d", len(all), info.State.Msgs)
	}
	return all
}

// talk publishes n messages, one in three with headers, and returns the last
// one's sequence.
func (r *rig) talk(tb testing.TB, n, size int) uint64 {
	tb.Helper()
	var last uint64
	for i := range n {
		m := &nats.Msg{Subject: fmt.Sprintf("talk.s%d.c%d", i%3, i), Data: fmt.Appendf(nil, `{"n":%d,"text":"%s"}`, i, bytes.Repeat([]byte{'x'}, size))}
		if i%3 == 2 {
			m.Header = nats.Header{"Auricle-Write": {fmt.Sprint(i)}}
		}
		ack, err := r.js.PublishMsg(tb.Context(), m)
		must(tb, err)
		last = ack.Sequence
	}
	return last
}

func jsonBody(r blocks.Record) bool { return len(r.Body) == 0 || r.Body[0] == '{' }

// check checks dir, as after a stop that noted stopped; nil: it was killed.
func check(tb testing.TB, dir string, stopped map[string]blocks.Stop) blocks.Report {
	tb.Helper()
	r, err := blocks.Check(context.Background(), blocks.Options{Dir: dir, Stopped: stopped, Valid: jsonBody})
	must(tb, err)
	return r
}

func msgsDir(dir string) string {
	return filepath.Join(dir, "jetstream", "$G", "streams", streamName, "msgs")
}

func block(dir string, n int) string { return filepath.Join(msgsDir(dir), fmt.Sprintf("%d.blk", n)) }

// copied is a copy of dir. Files may vanish meanwhile, as the server works.
func copied(tb testing.TB, dir string) string {
	tb.Helper()
	to := filepath.Join(tb.TempDir(), "copy")
	must(tb, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		} else if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		} else if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	}))
	return to
}

// Whatever a server does to its files in the order of its life, they are sound:
// as it leaves them when it stops, and as they are when it is killed.
func TestWhatTheServerLeavesIsSound(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(5, 5))
	var most int64
	for range 4 {
		r := serve(t, dir)
		for i := range 200 {
			subject := fmt.Sprintf("talk.s%d.c%d", random.IntN(4), random.IntN(30))
			m := &nats.Msg{Subject: subject, Data: fmt.Appendf(nil, `{"n":%d,"x":"%s"}`, i, bytes.Repeat([]byte{'y'}, random.IntN(4000)))}
			switch random.IntN(10) {
			case 0:
				must(t, r.stream.Purge(t.Context(), jetstream.WithPurgeSubject(subject)))
				continue
			case 1:
				must(t, r.stream.Purge(t.Context(), jetstream.WithPurgeSubject("talk.s1.*")))
				continue
			case 2:
				m.Header = nats.Header{"Nats-Rollup": {"sub"}, "Nats-TTL": {"1h"}}
			case 3:
				m.Header = nats.Header{"Auricle-Write": {"w"}, "Nats-TTL": {"1s"}}
			case 4:
				for n := range 3 {
					h := nats.Header{"Nats-Batch-Id": {fmt.Sprint(i)}, "Nats-Batch-Sequence": {fmt.Sprint(n + 1)}}
					must(t, r.conn.PublishMsg(&nats.Msg{Subject: fmt.Sprintf("talk.s9.c%d", n), Header: h, Data: m.Data}))
				}
				m.Header = nats.Header{"Nats-Batch-Id": {fmt.Sprint(i)}, "Nats-Batch-Sequence": {"4"}, "Nats-Batch-Commit": {"1"}}
			}
			ack, err := r.js.PublishMsg(t.Context(), m)
			must(t, err)
			switch random.IntN(100) {
			case 0, 1, 2, 3:
				if err := r.stream.DeleteMsg(t.Context(), ack.Sequence); !errors.Is(err, jetstream.ErrMsgNotFound) {
					must(t, err)
				}
			case 4:
				must(t, r.stream.Purge(t.Context(), jetstream.WithPurgeSequence(ack.Sequence-min(ack.Sequence-1, uint64(random.IntN(30))))))
			case 5:
				must(t, r.stream.Purge(t.Context()))
			}
			if i%50 == 25 {
				killed := copied(t, dir)
				if d := check(t, killed, nil).Damage(); len(d) > 0 {
					t.Fatalf("killed: %+v", d)
				}
			}
		}
		stopped := r.stop()
		rep := check(t, dir, stopped)
		if d := rep.Damage(); len(d) > 0 || rep.Streams[0].Tail != nil || len(rep.Streams[0].Stale) > 0 {
			t.Fatalf("stopped: %+v", rep.Streams[0])
		}
		most = max(most, rep.Bytes())
	}
	if most < 40_000 {
		t.Errorf("at most %d bytes read, want several blocks", most)
	}
}

// small makes a store of one small block and returns its folder, its block's
// bytes, the messages, and what was noted when it stopped.
func small(t *testing.T) (dir string, data []byte, messages map[uint64]string, stopped map[string]blocks.Stop) {
	dir = t.TempDir()
	r := serve(t, dir)
	r.talk(t, 7, 20)
	must(t, r.stream.DeleteMsg(t.Context(), 3))
	messages = r.messages(t)
	stopped = r.stop()
	data, err := os.ReadFile(block(dir, 1))
	must(t, err)
	return dir, data, messages, stopped
}

// salvage checks and salvages dir, and checks that it is sound then and that
// what was changed is kept as it was.
func salvage(t *testing.T, dir string, stopped map[string]blocks.Stop) blocks.Report {
	t.Helper()
	was, _ := os.ReadFile(block(dir, 1))
	r := check(t, dir, stopped)
	keep := filepath.Join(t.TempDir(), "damaged")
	must(t, r.Salvage(blocks.Options{Dir: dir, Valid: jsonBody}, keep))
	must(t, r.Refresh(blocks.Options{Dir: dir, Stopped: stopped}, keep))
	if d := check(t, dir, nil).Damage(); len(d) > 0 {
		t.Fatalf("damaged after it was salvaged: %+v", d)
	}
	for _, d := range r.Damage() {
		if filepath.Base(d.File) == "1.blk" && was != nil {
			if kept, err := os.ReadFile(filepath.Join(keep, d.File)); err != nil || !bytes.Equal(kept, was) {
				t.Fatalf("the damaged block was not kept as it was: %v", err)
			}
		}
	}
	return r
}

// remains starts a server over dir and fails unless it has exactly the messages
// of want without those lost, under the same sequences, and goes on after them.
func remains(t *testing.T, dir string, want map[uint64]string, lost ...uint64) {
	t.Helper()
	r := serve(t, dir)
	defer r.stop()
	got := r.messages(t)
	for s, m := range want {
		switch {
		case slices.Contains(lost, s):
		case got[s] != m:
			t.Errorf("sequence %d: got %q, want %q", s, got[s], m)
		}
		delete(got, s)
	}
	if len(got) > 0 {
		t.Errorf("there are messages that were deleted: %v", got)
	}
	ack, err := r.js.Publish(t.Context(), "talk.new", []byte(`{}`))
	must(t, err)
	for s := range want {
		if ack.Sequence <= s {
			t.Fatalf("the next message is %d, the number of an older one", ack.Sequence)
		}
	}
}

// Any one bit of a block: it is found, nothing but the record that it is in is
// lost, and it is named.
func TestEveryFlippedBitIsFound(t *testing.T) {
	dir, data, messages, stopped := small(t)
	for at := range data {
		data[at] ^= 1 << (at % 8)
		must(t, os.WriteFile(block(dir, 1), data, 0o600))
		r := check(t, dir, stopped)
		s := r.Streams[0]
		if len(s.Damage) != 1 {
			t.Fatalf("byte %d: %d damages, want 1: %+v", at, len(s.Damage), s)
		}
		d := s.Damage[0]
		if int64(at) < d.Offset || int64(at) >= d.Offset+d.Bytes || d.Before+d.After != 7 {
			t.Errorf("byte %d: %+v, want the one record that holds it", at, d)
		}
		lost := 0
		for _, n := range s.Lost {
			lost += int(n)
		}
		if lost > 1 || d.Mended && lost > 0 || !s.LostKnown {
			t.Errorf("byte %d: lost %v, want at most the one", at, s.Lost)
		}
		// Killed, without index.db to compare with: found all the same.
		if d := check(t, dir, nil).Damage(); len(d) != 1 {
			t.Errorf("byte %d: killed: %+v", at, d)
		}
		if at%61 == 0 || at >= len(data)-3 {
			c := copied(t, dir)
			salvage(t, c, stopped)
			if d.First > 0 && !d.Mended {
				remains(t, c, messages, d.First)
			} else {
				remains(t, c, messages)
			}
		}
		data[at] ^= 1 << (at % 8)
	}
	must(t, os.WriteFile(block(dir, 1), data, 0o600))
	if d := check(t, dir, stopped).Damage(); len(d) != 0 {
		t.Fatal(d)
	}
}

// What an unclean stop cuts short is no damage; what was there when the host
// had stopped is.
func TestACutFile(t *testing.T) {
	dir, data, messages, stopped := small(t)
	var cuts []int // all about where records begin, and some between
	for at := 0; at < len(data); at += int(binary.LittleEndian.Uint32(data[at:]) &^ (1 << 31)) {
		cuts = append(cuts, max(at-1, 0), at, at+1, at+20, at+29)
	}
	for _, n := range cuts {
		must(t, os.WriteFile(block(dir, 1), data[:n], 0o600))
		if d := check(t, dir, stopped).Damage(); len(d) == 0 {
			t.Fatalf("cut at %d after an orderly stop: no damage", n)
		}
		if d := check(t, dir, nil).Damage(); n < len(data)-60 && len(d) == 0 {
			// index.db knows of the seventh message, not of the deletion after it.
			t.Fatalf("cut at %d: no damage", n)
		}
	}
	must(t, os.Remove(filepath.Join(msgsDir(dir), "index.db")))
	for _, n := range cuts {
		must(t, os.WriteFile(block(dir, 1), data[:n], 0o600))
		if d := check(t, dir, nil).Damage(); len(d) > 0 {
			t.Fatalf("cut at %d when it was killed: %+v", n, d)
		}
	}

	// The power failed before the bytes came.
	must(t, os.WriteFile(block(dir, 1), append(slices.Clone(data), make([]byte, 5000)...), 0o600))
	r := check(t, dir, nil)
	if tail := r.Streams[0].Tail; len(r.Damage()) > 0 || tail == nil || tail.Offset != int64(len(data)) || tail.Bytes != 5000 {
		t.Fatalf("zeros at the end: %+v", r.Streams[0])
	}
	remains(t, dir, messages)
}

func TestACutFileIsSalvaged(t *testing.T) {
	for _, cut := range []int{1, 31, 200, 600} {
		dir, data, messages, stopped := small(t)
		must(t, os.Truncate(block(dir, 1), int64(len(data)-cut)))
		r := salvage(t, dir, stopped)
		var lost []uint64
		for _, d := range r.Damage() {
			for s := d.First; s != 0 && s <= d.Last; s++ {
				lost = append(lost, s)
			}
		}
		remains(t, dir, messages, lost...)
	}
}

// Several blocks: damage in one leaves the others as they are.
func TestDamageAmongSeveralBlocks(t *testing.T) {
	dir := t.TempDir()
	r := serve(t, dir)
	r.talk(t, 60, 1500)
	must(t, r.stream.Purge(t.Context(), jetstream.WithPurgeSubject("talk.s1.*")))
	messages := r.messages(t)
	stopped := r.stop()
	sequences := func(d blocks.Damage) (all []uint64) {
		for s := d.First; s != 0 && s <= d.Last; s++ {
			if _, ok := messages[s]; ok {
				all = append(all, s)
			}
		}
		return all
	}

	t.Run("flips in each", func(t *testing.T) {
		dir := copied(t, dir)
		files, err := filepath.Glob(filepath.Join(msgsDir(dir), "*.blk"))
		must(t, err)
		if len(files) < 3 {
			t.Fatalf("%d blocks, want several", len(files))
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			must(t, err)
			data[len(data)/2] ^= 4
			must(t, os.WriteFile(f, data, 0o600))
		}
		rep := salvage(t, dir, stopped)
		if n := len(rep.Damage()); n != len(files) {
			t.Errorf("%d damages in %d files", n, len(files))
		}
		var lost []uint64
		subjects := 0
		for _, d := range rep.Damage() {
			lost = append(lost, sequences(d)...)
		}
		for range rep.Streams[0].Lost {
			subjects++
		}
		if subjects != len(lost) {
			t.Errorf("lost %d sequences and %d subjects", len(lost), subjects)
		}
		remains(t, dir, messages, lost...)
	})
	t.Run("one gone", func(t *testing.T) {
		for _, n := range []int{1, 2, 3} {
			dir := copied(t, dir)
			must(t, os.Remove(block(dir, n)))
			rep := salvage(t, dir, stopped)
			if d := rep.Damage(); len(d) != 1 || !d[0].Missing || len(sequences(d[0])) == 0 {
				t.Fatalf("%+v", d)
			}
			if len(sequences(rep.Damage()[0])) != len(rep.Streams[0].Lost) {
				t.Errorf("lost %v, %d to %d", rep.Streams[0].Lost, rep.Damage()[0].First, rep.Damage()[0].Last)
			}
			remains(t, dir, messages, sequences(rep.Damage()[0])...)
		}
	})
	t.Run("one empty", func(t *testing.T) {
		dir := copied(t, dir)
		must(t, os.Truncate(block(dir, 2), 0))
		if d := check(t, dir, nil).Damage(); len(d) != 1 {
			t.Errorf("killed: %+v", d)
		}
		rep := salvage(t, dir, stopped)
		remains(t, dir, messages, sequences(rep.Damage()[0])...)
	})
	t.Run("two changed places", func(t *testing.T) {
		dir := copied(t, dir)
		must(t, os.Rename(block(dir, 1), block(dir, 9)))
		must(t, os.Rename(block(dir, 2), block(dir, 1)))
		must(t, os.Rename(block(dir, 9), block(dir, 2)))
		rep := salvage(t, dir, stopped)
		var lost []uint64
		for _, d := range rep.Damage() {
			lost = append(lost, sequences(d)...)
		}
		if len(lost) == 0 {
			t.Errorf("%+v", rep.Damage())
		}
		remains(t, dir, messages, lost...)
	})
}

// What is derived may be wrong without anything being lost.
func TestDerivedFilesAreMadeAnew(t *testing.T) {
	stream := func(dir string) string { return filepath.Dir(msgsDir(dir)) }
	for name, spoil := range map[string]func(dir string) error{
		"index.db": func(dir string) error {
			return os.WriteFile(filepath.Join(msgsDir(dir), "index.db"), []byte("?"), 0o600)
		},
		"meta.inf": func(dir string) error {
			return os.WriteFile(filepath.Join(stream(dir), "meta.inf"), []byte(`{"name":"TALK","max_msgs":1}`), 0o600)
		},
		"meta.sum": func(dir string) error { return os.Remove(filepath.Join(stream(dir), "meta.sum")) },
		"an unfinished batch": func(dir string) error {
			batch := filepath.Join(stream(dir), "batches", "b", "msgs")
			return errJoin(os.MkdirAll(batch, 0o700), os.WriteFile(filepath.Join(batch, "1.blk"), []byte("half"), 0o600))
		},
		"times of expiry": func(dir string) error {
			// Well formed, but for messages that do not expire.
			wheel := []byte{1, 2, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2, 4, 2, 5}
			return os.WriteFile(filepath.Join(msgsDir(dir), "thw.db"), wheel, 0o600)
		},
		"a foreign file": func(dir string) error { return os.WriteFile(filepath.Join(msgsDir(dir), "notes.txt"), nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, _, messages, stopped := small(t)
			must(t, spoil(dir))
			r := salvage(t, dir, stopped)
			if d := r.Damage(); len(d) > 0 {
				t.Errorf("damage: %+v", d)
			}
			remains(t, dir, messages)
		})
	}
}

func errJoin(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestNothingIsCheckedWhereNothingIs(t *testing.T) {
	if r := check(t, t.TempDir(), nil); len(r.Streams) != 0 {
		t.Error(r)
	}
	if r := check(t, filepath.Join(t.TempDir(), "none"), nil); len(r.Streams) != 0 {
		t.Error(r)
	}
}
