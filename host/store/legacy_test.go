package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Earlier versions appended heads and segments under subjects of another form,
// to streams that could do less.
func TestWhatAnEarlierVersionLeftOpenGoesOn(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	earlier(t, dir, func(js jetstream.JetStream) {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "OPEN", Subjects: []string{"open.*"}, AllowDirect: true, Duplicates: 100 * time.Millisecond})
		must(t, err)
		_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: "CONVERSATIONS", Subjects: []string{"conversation.*.*", "part.*.*.*"}, AllowDirect: true, Duplicates: 100 * time.Millisecond})
		must(t, err)
		put := func(subject string, c event.Conversation) {
			body, err := json.Marshal(c)
			must(t, err)
			_, err = js.Publish(ctx, subject, body)
			must(t, err)
		}
		for _, id := range []string{"c_1", "c_2", "c_1"} {
			c := conversation(id, "ann", event.Segment{ID: "1", Text: "said"})
			c.CompletedAt, c.Reason = time.Time{}, ""
			put("open."+id, c)
		}
		put("conversation.YW5u.c_0", conversation("c_0", "ann"))
	})

	s := open(t, dir)
	if r, err := s.Conversation(ctx, "c_0"); err != nil || r.UID != "ann" {
		t.Errorf("c_0: %+v, %v", r, err)
	}
	held, err := s.Unfinished(ctx)
	must(t, err)
	if len(held) != 2 || held[0].Conversation.ID != "c_1" || held[0].Host != "" || held[0].Revision == 0 || len(held[0].Conversation.Segments) != 1 || held[0].Conversation.UID != "ann" {
		t.Fatalf("held: %+v, want c_1 and c_2, of no host", held)
	}
	// One goes on, then both are settled.
	rev := appendTo(t, s, part(held[0].Conversation, event.Segment{ID: "2", Text: "and more", Start: 1}), held[0].Revision)
	again, err := s.Unfinished(ctx)
	must(t, err)
	if len(again) != 2 || again[0].Revision != rev || len(again[0].Conversation.Segments) != 2 || again[0].Host != "here" {
		t.Fatalf("held: %+v, want c_1 with two segments", again)
	}
	must(t, s.Settle(ctx, again[0].Part, rev))
	must(t, s.Settle(ctx, held[1].Part, held[1].Revision))
	if left, err := s.Unfinished(ctx); err != nil || len(left) != 0 {
		t.Errorf("left: %+v, %v, want none", left, err)
	}
	must(t, s.Close(ctx))
	s = open(t, dir)
	if left, err := s.Unfinished(ctx); err != nil || len(left) != 0 {
		t.Errorf("left after a restart: %+v, %v, want none", left, err)
	}
	if held, err := s.Session(ctx, "s_1"); err != nil || len(held) != 2 || !held[0].Settled || !held[1].Settled {
		t.Errorf("their session is told %+v, %v, want two settled conversations", held, err)
	}
}

// earlier lets f write to a data directory as an earlier version did.
func earlier(t *testing.T, dir string, f func(jetstream.JetStream)) {
	t.Helper()
	srv, err := server.NewServer(&server.Options{JetStream: true, StoreDir: dir, DontListen: true, SyncAlways: true, NoSigs: true, NoLog: true, NoSystemAccount: true})
	must(t, err)
	srv.Start()
	defer stopNATS(srv)
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	must(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	must(t, err)
	f(js)
}

// A crash may keep the disk from forgetting what was let go: it stays settled.
func TestSettledStaysSettledAfterACrash(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	p := part(conversation("c_1", "ann"), event.Segment{ID: "1", Text: "said"})
	s := open(t, dir)
	rev := appendTo(t, s, p, 0)
	must(t, s.Close(ctx))
	var kept, marker *jetstream.RawStreamMsg
	last := func(js jetstream.JetStream) (jetstream.Stream, *jetstream.RawStreamMsg) {
		stream, err := js.Stream(ctx, "OPEN")
		must(t, err)
		m, err := stream.GetLastMsgForSubject(ctx, "open.s_1.c_1")
		must(t, err)
		return stream, m
	}
	earlier(t, dir, func(js jetstream.JetStream) { _, kept = last(js) })
	s = open(t, dir)
	must(t, s.Settle(ctx, p, rev))
	must(t, s.Close(ctx))
	earlier(t, dir, func(js jetstream.JetStream) {
		var stream jetstream.Stream
		stream, marker = last(js)
		must(t, stream.Purge(ctx))
		for _, m := range []*jetstream.RawStreamMsg{kept, marker} {
			_, err := js.PublishMsg(ctx, &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{"Auricle-Settled": m.Header["Auricle-Settled"]}})
			must(t, err)
		}
	})
	s = open(t, dir)
	if held, err := s.Unfinished(ctx); err != nil || len(held) != 0 {
		t.Errorf("unfinished: %+v, %v, want none", held, err)
	}
	if held, err := s.Session(ctx, "s_1"); err != nil || len(held) != 1 || !held[0].Settled || len(held[0].Conversation.Segments) != 0 {
		t.Errorf("its session is told %+v, %v, want a settled conversation", held, err)
	}
	must(t, s.Close(ctx))
	earlier(t, dir, func(js jetstream.JetStream) {
		stream, _ := last(js)
		info, err := stream.Info(ctx)
		must(t, err)
		if info.State.Msgs != 1 {
			t.Errorf("%d messages are left, want the marker", info.State.Msgs)
		}
	})
}
