package store

import (
	"errors"
	"time"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/sdk/event"
)

// Revision names one version of a record. A write that gives the revision it
// goes on from succeeds only while that is still the newest: of two writers
// one wins and the other gets ErrFenced. 0 is "no record yet".
type Revision uint64

// ErrFenced says that somebody else has written the record since: another
// host, or another part of this one, owns it now. Repeating won't help.
var ErrFenced = errors.New("taken over by another host")

// Part is one append to an open conversation: its head as it is now, and what
// is new in it.
type Part struct {
	// Conversation is the head; Segments are those that are new or changed.
	// CompletedAt and Reason are set when Closing is.
	Conversation event.Conversation `json:"conversation"`

	Seq        uint64        `json:"seq"`             // the session's last transcript that is stored with this part
	AudioBytes int64         `json:"audio_bytes"`     // taken in the session so far, as the client sent it
	Audio      *audio.Format `json:"audio,omitempty"` // the session's; nil: transcripts only
	Host       string        `json:"host,omitempty"`  // the host that holds the session; empty: none, it was handed over

	// Closing says that nothing is added any more and the conversation is to be
	// completed. Next is then the id of the session's next conversation, and Due
	// the apps whose work on this one its completion makes due.
	Closing bool     `json:"closing,omitempty"`
	Next    string   `json:"next,omitempty"`
	Due     []string `json:"due,omitempty"`
}

// Held is what the store holds of a conversation that is open, or whose work
// is not done: its parts put together.
type Held struct {
	Part              // of the last append, but with all segments, merged by id, in order of Start
	Revision Revision // of the last append

	// Completed says that the completed conversation is stored; what may be
	// missing is apps' work.
	Completed bool

	// Settled says that nothing is missing: this is only what a session that
	// comes back is told (Seq, AudioBytes, Next). It has no segments, and is kept
	// for a while.
	Settled bool
}

// JobState is how far a Job is.
type JobState string

// The states of a Job.
const (
	JobWaiting JobState = "waiting" // for its next attempt
	JobRunning JobState = "running" // on Host
	JobDead    JobState = "dead"    // a dead letter: no further attempt but on an operator's request
)

// Job is an app's work on a completed conversation that could not be done at
// once. What is done at once never becomes one.
type Job struct {
	App          string    `json:"app"`
	Conversation string    `json:"conversation"`
	UID          string    `json:"uid"`
	Session      string    `json:"session"`
	State        JobState  `json:"state"`
	Since        time.Time `json:"since"`          // when it became one
	Next         time.Time `json:"next,omitzero"`  // waiting: when it may be tried
	Host         string    `json:"host,omitempty"` // running: where
	Attempts     int       `json:"attempts"`       // that have counted
	Reason       string    `json:"reason"`         // the outcome of the last attempt, or why there was none
	Last         *Attempt  `json:"last,omitempty"` // nil before the first attempt
}

// Attempt is what became of one attempt of a Job that did not end ok.
type Attempt struct {
	Invocation string    `json:"invocation"`
	Module     string    `json:"module"`  // SHA-256, lower-case hex
	Version    string    `json:"version"` // of the app
	At         time.Time `json:"at"`
	Outcome    string    `json:"outcome"`
	Error      string    `json:"error,omitempty"`
	Stack      []string  `json:"stack,omitempty"` // innermost function first
	Log        []LogLine `json:"log,omitempty"`
	LogCut     int       `json:"log_cut,omitempty"` // bytes of log cut
	Fuel       uint64    `json:"fuel"`
	FuelLimit  uint64    `json:"fuel_limit"`
	WallMicros int64     `json:"wall_us"`
	Replay     string    `json:"replay,omitempty"` // the name of its recording, where one was kept
}

// LogLine is a line that an app logged.
type LogLine struct {
	Level string `json:"level"`
	Text  string `json:"text"`
}

// Host is a host that shares the store with others, as it last said of itself.
type Host struct {
	ID       string    `json:"id"`
	Address  string    `json:"address"` // where clients connect
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Leaving  bool      `json:"leaving,omitempty"` // it drains: it takes nothing new
	Sessions int       `json:"sessions"`
	Running  int       `json:"running"` // invocations
	Jobs     int       `json:"jobs"`    // claimed by it
}
