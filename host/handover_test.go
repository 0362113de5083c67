package host_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// What is open when a host shuts down goes on with the next one: the client is
// told when to come back, and its conversation is one.
func TestAConversationGoesOnWithTheNextHost(t *testing.T) {
	dir := t.TempDir()
	h, stop := start(t, configuration(dir, echo()))
	c := openStream(t, h, "ada", 0)
	c.say(1, "And then")
	await[*wire.Ack](c)
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }() // ends when the host has; waited for below
	if m := await[*wire.Closing](c); m.Code != "shutting_down" || m.RetryAfterMillis <= 0 {
		t.Errorf("got %+v, want code shutting_down and a time to retry after", m)
	}
	if code := c.closeCode(); code != wire.CloseShuttingDown.Code {
		t.Errorf("closed with %d, want %d", code, wire.CloseShuttingDown.Code)
	}
	<-stopped

	h, _ = start(t, configuration(dir, echo()))
	next := c.resume(h, "ada")
	if next.ready.Received.Seq != 1 || next.ready.Conversation != c.ready.Conversation {
		t.Errorf("ready %+v, want seq 1 of conversation %s", next.ready, c.ready.Conversation)
	}
	next.say(2, "they agreed.")
	next.send(map[string]string{"type": "end"})
	whole := next.completed()
	if whole.ID != c.ready.Conversation || whole.Reason != event.ReasonEnd || len(whole.Segments) != 2 {
		t.Errorf("completed %+v, want both segments in conversation %s", whole, c.ready.Conversation)
	}
	if code := next.closeCode(); code != 1000 {
		t.Errorf("closed with %d, want 1000", code)
	}
	outputs := 0
	for _, o := range record(t, h, whole.ID).Outputs {
		if o.Event == event.KindConversation.String() {
			outputs++
		}
	}
	if outputs != 1 {
		t.Errorf("%d outputs for the completed conversation, want 1", outputs)
	}
}

// A host takes the turn of another: who connects at any time is answered, by
// the one or the other, and a session goes from the one to the other.
func TestTakingOverRefusesNoConnection(t *testing.T) {
	dir := t.TempDir()
	old, stop := start(t, configuration(dir, echo()))
	c := openStream(t, old, "ada", 0)
	c.say(1, "And then")
	await[*wire.Ack](c)

	asked, quit := make(chan struct{}, 1), make(chan struct{})
	failed := make(chan error, 1)
	var asking sync.WaitGroup
	asking.Go(func() { // ends with quit
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for {
			select {
			case <-quit:
				return
			default:
			}
			resp, err := client.Get("http://" + old.Addr().String() + "/healthz")
			if err == nil {
				resp.Body.Close() // its status is all that matters
				if resp.StatusCode != http.StatusOK {
					err = errors.New(resp.Status)
				}
			}
			if err != nil {
				failed <- err
				return
			}
			select {
			case asked <- struct{}{}:
			default:
			}
		}
	})
	<-asked

	stopped := make(chan struct{})
	go func() { // ends when the old host has; waited for below
		defer close(stopped)
		<-old.Taken()
		stop()
	}()
	next, _ := startWith(t, host.Options{Config: configuration(dir, echo()), TakeOver: true})
	<-stopped
	if next.OperatorsAddr().String() != old.OperatorsAddr().String() {
		t.Errorf("the next host serves operators on %s, want %s", next.OperatorsAddr(), old.OperatorsAddr())
	}
	if next.Addr().String() != old.Addr().String() {
		t.Errorf("the next host listens on %s, want %s", next.Addr(), old.Addr())
	}
	for range 3 { // the next host answers
		select {
		case <-asked:
		case err := <-failed:
			t.Fatalf("a connection was refused or cut off: %v", err)
		}
	}
	close(quit)
	asking.Wait()

	if code := c.closeCode(); code != wire.CloseShuttingDown.Code {
		t.Errorf("closed with %d, want %d", code, wire.CloseShuttingDown.Code)
	}
	c = c.resume(next, "ada")
	c.say(2, "they agreed.")
	c.send(map[string]string{"type": "finish"})
	if whole := c.completed(); len(whole.Segments) != 2 {
		t.Errorf("completed with %d segments, want 2", len(whole.Segments))
	}
	c.conn.Close()

	// With nobody there, taking over is an ordinary start.
	alone, _ := startWith(t, host.Options{Config: configuration(t.TempDir(), echo()), TakeOver: true})
	if status, body := get(t, alone, "/readyz"); status != http.StatusOK {
		t.Error(fmt.Sprint(status, " ", string(body)))
	}
}
