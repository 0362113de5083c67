package webhooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/webhooks/work"
	"github.com/auricle-dev/auricle/sdk/event"
)

// What a child process is to be, besides a host (child.PartHost). It is the
// argument after Options.Command.
const (
	PartServer  = "webhooks" // is Serve, with how far away it is as the argument that follows
	PartThreads = "threads"  // is Threads, with the apps' URLs as the arguments that follow
)

// The paths that a webhook has for each kind of event, below its task's: for
// example /keywords/transcript. Below /hung it has the same, and never answers.
const (
	pathTranscript   = "/transcript"
	pathConversation = "/conversation"
	pathHung         = "/hung"
)

// posted is what the webhooks read of what is posted to them: of live segments
// and of a completed conversation.
type posted struct {
	Segments   []event.Segment `json:"segments"`
	Transcript []event.Segment `json:"transcript_segments"`
}

// answered is what they answer to either, and what is given on to clients.
type answered struct {
	Notification *notification `json:"notification,omitempty"`
	Message      string        `json:"message,omitempty"`
}

type notification struct {
	Prompt string `json:"prompt"`
}

// result returns what an app made, whichever way it said it.
func (a answered) result() string {
	if a.Notification != nil {
		return a.Notification.Prompt
	}
	return a.Message
}

// Serve is the apps as webhooks: one HTTP server with a path for each, which
// answers so much later than it could as away says, a duration. It says its
// address on out, and serves until in ends.
func Serve(in io.Reader, out io.Writer, away string) error {
	wait, err := time.ParseDuration(away)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	for _, t := range work.Tasks {
		live := func(said string) answered { return answered{Notification: &notification{said}} }
		completed := func(said string) answered { return answered{Message: said} }
		mux.Handle("POST /"+string(t)+pathTranscript, webhook(t, func(p posted) []event.Segment { return p.Segments }, live, wait))
		mux.Handle("POST /"+string(t)+pathConversation, webhook(t, func(p posted) []event.Segment { return p.Transcript }, completed, wait))
	}
	mux.HandleFunc("POST "+pathHung+"/", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that it is seen when the caller has gone
		<-r.Context().Done()
	})
	return serve(mux, in, out)
}

// webhook does a task with the segments of what is posted.
func webhook(t work.Task, segments func(posted) []event.Segment, form func(string) answered, wait time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if wait > 0 {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-r.Context().Done():
				return
			}
		}
		var p posted
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		said, err := work.Do(t, segments(p))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(form(said)) // a caller that has gone hears nothing
	}
}

// serve serves on a port of this machine, which it says on out, until in ends.
func serve(h http.Handler, in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }() // ends with Close; waited for below
	_, err = fmt.Fprintln(out, l.Addr())
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	err = errors.Join(err, server.Close())
	if s := <-served; !errors.Is(s, http.ErrServerClosed) {
		err = errors.Join(err, s)
	}
	return err
}
