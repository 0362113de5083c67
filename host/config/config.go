// Package config turns what an operator wrote into a Config.
//
// Values come, each over the one before, from the defaults, the HCL file, the
// AURICLE_ environment variables and the command's flags. koanf merges them;
// the file is read through a koanf Parser over HCL 2 that keeps the line and
// column of every value, so that whatever is found wrong, here or later in a
// module's manifest, can be pointed at. One table (see Reference) holds every
// key with its kind, default, bounds and meaning: reading, checking, the
// environment, the flags, "did you mean" and the documentation follow from it.
//
// Load reports everything wrong in one run and never stops at the first
// problem. A file holds plain values: no variables, functions or calculations,
// so that reading one can neither loop nor surprise. The one exception is
// env("NAME") where a Secret is wanted.
//
// Nothing here opens a module, a directory or a port: whether a module's file
// exists and fits its grant is for host/apps to say. A Config is plain data
// without locks; nothing in this package keeps it or runs in the background.
package config

import (
	"encoding/json"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
)

// Config is everything an operator may set. Default returns every default,
// Reference their bounds.
type Config struct {
	Listen       string // where clients connect, host:port; the host is a loopback address, port 0 takes a free one
	Operators    Operators
	TLS          TLS
	DataDir      string        // cleaned; see Load for what it is relative to
	Drain        time.Duration // how long shutdown waits for what runs
	LogLevel     string        // trace, debug, info, warn or error
	LogJSON      bool          // whether log lines are JSON
	Pool         Pool
	Conversation Conversation
	Stream       Stream
	Audio        Audio
	Jobs         Jobs
	Replay       Replay
	Retention    Retention
	Store        Store
	Auth         Auth
	Apps         []App // in the file's order

	// Pos says where each value outside app blocks came from, by the key's
	// path ("listen", "pool.workers"), for faults found when it is used. Nil
	// for a Config that was not loaded.
	Pos map[string]Pos
}

// Operators says where operators connect.
type Operators struct {
	Listen string // host:port, as Config.Listen
}

// TLS says with which certificate the host proves its name. Without a Cert and
// without ACME domains, connections are not encrypted.
type TLS struct {
	Cert string // path of the certificates (PEM), the host's own first
	Key  string // path of its private key (PEM)
	ACME ACME
}

// On reports whether connections are encrypted.
func (t TLS) On() bool { return t.Cert != "" || len(t.ACME.Domains) > 0 }

// ACME says from whom certificates are had as they are needed (RFC 8555).
type ACME struct {
	Domains      []string // names to have certificates for; none: no ACME
	Email        string   // whom the authority may write to; empty: nobody
	DirectoryURL string   // of the authority; empty: Let's Encrypt
	CA           string   // path of the certificates (PEM) that the directory's are checked with; empty: the system's
	AcceptTerms  bool     // whether the operator accepts the authority's terms
}

// Pool bounds the work of all apps together.
type Pool struct {
	Workers int // invocations running at once
	Queue   int // invocations waiting for a worker, per app
	PerApp  int // invocations of one app running at once; 0 means a quarter of Workers, at least 1
}

// Conversation says when a conversation completes by itself.
type Conversation struct {
	Silence time.Duration // nothing said for this long completes it
	Grace   time.Duration // how long a lost stream's conversation waits before it completes
}

// Stream bounds one client's WebSocket connection.
type Stream struct {
	MaxMessageBytes  int64         // largest message taken from a client
	OutputQueueBytes int64         // messages waiting for a client that reads slowly
	HandshakeTimeout time.Duration // how long a client may take for its TLS handshake, and then for a request's headers
	Origins          []string      // whose pages may stream, as browsers write origins; none: those of loopback
	StartTimeout     time.Duration // how long a client may take to send start
	PingInterval     time.Duration // time between two pings
	PongTimeout      time.Duration // time without a pong after which the stream is closed; longer than PingInterval
	IdleTimeout      time.Duration // time without a message after which the stream is closed
	AudioRate        int           // times real time, as which audio may come on average; 0 is no limit
	AudioBurst       time.Duration // of audio, that may come at once on top of that
	PerUser          int           // streams of one user at once; 0 is no limit
	Sessions         int           // with a stream at once, of all users
	Compression      bool          // whether messages are compressed for clients that ask for it
}

// Audio bounds the audio kept for apps that receive it.
type Audio struct {
	BufferBytes int64 // audio waiting for the slowest app of one session
}

// Jobs says how often an app's work on a completed conversation is tried.
type Jobs struct {
	Attempts int           // in all, where another attempt may help
	Over     time.Duration // from the first to the last of them
}

// Replay says which invocations are recorded, to be run again elsewhere.
type Replay struct {
	KeepBytes int64 // of recordings; the oldest go; 0 records nothing
	OneIn     int   // besides failures, one invocation in so many; 0 is none
}

// Retention bounds what is kept of what is done. The oldest goes first.
type Retention struct {
	Conversations Kept // completed ones, with all that belongs to them
	Outputs       Kept // what apps made of them
	DeadLetters   Kept // work that was given up
}

// Kept bounds one kind of thing. Zeros are no bound.
type Kept struct {
	Age   time.Duration
	Bytes int64 // on disk
}

// Store says where conversations are kept.
type Store struct {
	NATS NATS // with URLs, a cluster in the place of the data directory
}

// NATS is a NATS cluster with JetStream that several hosts share.
type NATS struct {
	URLs        []string // nats:// or tls://
	Credentials string   // path of a .creds file; empty: none
	CA          string   // path of the certificates that the servers' are checked with; empty: the system's
	Replicas    int      // of every stream
}

// App is one app block.
type App struct {
	Name     string   // lower-case letters, digits, '-', '_', '.'; begins with a letter
	Module   string   // cleaned path; see Load for what it is relative to. With Webhook, "" is the bridge that comes with the host
	Webhook  *Webhook // nil: the app is a module of its own. Otherwise Grant and Settings follow from it
	SHA256   string   // 64 lower-case hexadecimal digits; "" pins nothing
	Grant    []event.Capability
	Users    []string        // uids; "*" is everyone
	State    event.State     // fresh or session
	Settings json.RawMessage // a JSON object; nil when the block has none
	Limits   AppLimits
	HTTP     AppHTTP
	Pos      AppPos
}

// AppLimits are the operator's limits for one invocation of an app. A zero
// leaves the manifest's or the default.
type AppLimits struct {
	Fuel        uint64        // units of fuel
	Wall        time.Duration // wall-clock time
	MemoryBytes int64
	// ConversationWall is that of conversation events, in the place of Wall.
	ConversationWall time.Duration
}

// AppPos says where an app's parts stand, for problems found later, in its
// module or manifest. What the block leaves out has the block's position.
type AppPos struct {
	Block, Module, SHA256, Grant, Users, State, Settings Pos
	Grants                                               []Pos          // one for each of App.Grant
	Setting                                              map[string]Pos // by JSON pointer: "" is the whole, then "/words", "/words/0"
}

// SettingAt returns the position of the setting at a JSON pointer (RFC 6901),
// or of the nearest value around it that the file has.
func (p AppPos) SettingAt(pointer string) Pos {
	for {
		if at, ok := p.Setting[pointer]; ok {
			return at
		}
		cut := lastSlash(pointer)
		if cut < 0 {
			return p.Settings
		}
		pointer = pointer[:cut]
	}
}

// Default returns the configuration of a host without a file.
func Default() Config {
	c, _ := Load(LoadOptions{})
	c.Pos = nil
	return c
}
