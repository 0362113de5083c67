package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
)

// Kind is what a key's value is.
type Kind string

// The kinds.
const (
	Address  Kind = "address"       // "127.0.0.1:7080"
	Path     Kind = "path"          // "build/apps/minutes.wasm"
	Choice   Kind = "choice"        // one of Key.Choices
	Bool     Kind = "true or false" // true
	Whole    Kind = "whole number"  // 32, 50e6
	Duration Kind = "duration"      // "250ms"; base unit nanoseconds
	Size     Kind = "size"          // "32MiB", or a number of bytes
	Text     Kind = "text"          // "ops@example.org"
	Digest   Kind = "SHA-256"       // 64 hexadecimal digits
	List     Kind = "list of text"  // ["transcript", "notify"]
	Object   Kind = "object"        // { words = ["budget"] }
	Hosts    Kind = "list of hosts" // ["api.example.com", "*.example.org"]
	Ranges   Kind = "list of CIDRs" // ["10.0.0.0/8"]
	Hidden   Kind = "secret"        // env("NAME")
)

// Key is one key that an operator may set.
type Key struct {
	Path     string   // "listen", "pool.workers"; those of app blocks begin with "app.": "app.limits.fuel"
	Kind     Kind     // what its value is
	Unit     string   // what a Whole counts; the unit of a Duration or Size is part of its value
	Default  string   // as the file would say it; "" where there is none
	Min, Max int64    // bounds of a Whole, a Duration (ns) or a Size (bytes), both allowed
	Choices  []string // what a Choice or the items of a List may be; nil for anything
	Required bool     // whether an app block must have it
	Doc      string   // what it does, in an operator's words

	host func(*Config) any    // where the value goes, for keys outside app blocks
	app  func(*App) any       // where the value goes, for keys of app blocks
	auth func(*AuthToken) any // where the value goes, for keys of auth.token blocks

	header func(*AppHTTPHeader) any // where the value goes, for keys of header blocks in an app's http block
}

// Names of the app block and of its keys, which are read one by one.
const (
	appPath     = "app"
	appModule   = "app.module"
	appSHA256   = "app.sha256"
	appGrant    = "app.grant"
	appUsers    = "app.users"
	appState    = "app.state"
	appSettings = "app.settings"

	appHTTPHosts      = "app.http.hosts"
	appHTTPHeader     = "app.http.header"
	appHTTPSignSecret = "app.http.sign.secret"

	operatorsListen = "operators.listen"
	natsURLs        = "store.nats.urls"
	streamOrigins   = "stream.origins"
	acmeDomains     = "tls.acme.domains"

	authTokenPath   = "auth.token"
	authTokenDigest = "auth.token.sha256"
	authTokenUID    = "auth.token.uid"

	maxAppName = 64

	mostConcurrency = 4096
	mostPerMinute   = 1_000_000
)

const (
	kib = int64(1) << 10
	mib = int64(1) << 20
	gib = int64(1) << 30

	millisecond = int64(time.Millisecond)
	second      = int64(time.Second)
	minute      = int64(time.Minute)
	hour        = int64(time.Hour)
)

// keys is the table. Everything else that knows keys reads it.
var keys = []Key{
	{
		Path: "listen", Kind: Address, Default: `"127.0.0.1:7080"`,
		Doc:  "Where clients connect, host:port. Without an auth block only a loopback address: anyone who can reach it may stream as any user. Port 0 takes a free one.",
		host: func(c *Config) any { return &c.Listen },
	}, {
		Path: operatorsListen, Kind: Address, Default: `"127.0.0.1:7081"`,
		Doc:  "Where operators connect, host:port: metrics, apps, users' apps, jobs, recordings, reload, cluster and profiles are served here only. Without an auth block only a loopback address: anyone who can reach it may operate this host. Port 0 takes a free one.",
		host: func(c *Config) any { return &c.Operators.Listen },
	}, {
		Path: "tls.cert", Kind: Path, Default: `""`,
		Doc:  "Certificates (PEM), the host's own first; empty: no TLS from files. Read again when the file changes. Relative to this file's directory.",
		host: func(c *Config) any { return &c.TLS.Cert },
	}, {
		Path: "tls.key", Kind: Path, Default: `""`,
		Doc:  "The certificate's private key (PEM). Read again when the file changes. Relative to this file's directory.",
		host: func(c *Config) any { return &c.TLS.Key },
	}, {
		Path: acmeDomains, Kind: List, Default: `[]`,
		Doc:  "Names to have certificates for from an ACME authority, which must reach this host on port 443 (TLS-ALPN-01). Empty: no ACME. Kept in data_dir.",
		host: func(c *Config) any { return &c.TLS.ACME.Domains },
	}, {
		Path: "tls.acme.email", Kind: Text, Default: `""`,
		Doc:  "Where the authority may write to; empty: nowhere.",
		host: func(c *Config) any { return &c.TLS.ACME.Email },
	}, {
		Path: "tls.acme.directory", Kind: Text, Default: `""`,
		Doc:  "The authority's directory, an https URL; empty: Let's Encrypt.",
		host: func(c *Config) any { return &c.TLS.ACME.DirectoryURL },
	}, {
		Path: "tls.acme.ca", Kind: Path, Default: `""`,
		Doc:  "Certificates (PEM) that the directory's own are checked with, for an authority of your own; empty: the system's. Relative to this file's directory.",
		host: func(c *Config) any { return &c.TLS.ACME.CA },
	}, {
		Path: "tls.acme.accept_terms", Kind: Bool, Default: `false`,
		Doc:  "Whether you accept the authority's terms of service. Without it there are no certificates.",
		host: func(c *Config) any { return &c.TLS.ACME.AcceptTerms },
	}, {
		Path: "data_dir", Kind: Path, Default: `"data"`,
		Doc:  "Directory for conversations and compiled apps; made when missing. One host at a time. Relative to this file's directory.",
		host: func(c *Config) any { return &c.DataDir },
	}, {
		Path: "drain", Kind: Duration, Default: `"20s"`, Min: 0, Max: hour,
		Doc:  "How long a stop waits for what is running before it cuts it off.",
		host: func(c *Config) any { return &c.Drain },
	}, {
		Path: "log_level", Kind: Choice, Default: `"info"`, Choices: []string{"trace", "debug", "info", "warn", "error"},
		Doc:  "The least important lines that are logged. What was said is never logged at info or above.",
		host: func(c *Config) any { return &c.LogLevel },
	}, {
		Path: "log_json", Kind: Bool, Default: `false`,
		Doc:  "Log lines as JSON, for machines.",
		host: func(c *Config) any { return &c.LogJSON },
	}, {
		Path: "pool.workers", Kind: Whole, Unit: "invocations", Default: `32`, Min: 1, Max: 4096,
		Doc:  "Invocations of apps running at once, all apps together.",
		host: func(c *Config) any { return &c.Pool.Workers },
	}, {
		Path: "pool.queue", Kind: Whole, Unit: "invocations", Default: `1024`, Min: 1, Max: 1_000_000,
		Doc:  "Invocations that may wait for a worker, for each app. Beyond it live events are dropped, counted and told to the client; completed conversations never are.",
		host: func(c *Config) any { return &c.Pool.Queue },
	}, {
		Path: "pool.per_app", Kind: Whole, Unit: "invocations", Default: `0`, Min: 0, Max: 4096,
		Doc:  "Invocations of one app running at once, so that no app takes the whole pool. 0 means a quarter of workers, at least 1.",
		host: func(c *Config) any { return &c.Pool.PerApp },
	}, {
		Path: "conversation.silence", Kind: Duration, Default: `"120s"`, Min: 2 * second, Max: 4 * hour,
		Doc:  "Nothing said for this long completes the conversation; the next words begin another.",
		host: func(c *Config) any { return &c.Conversation.Silence },
	}, {
		Path: "conversation.grace", Kind: Duration, Default: `"30s"`, Min: 0, Max: hour,
		Doc:  "How long a conversation whose stream was lost waits before it completes.",
		host: func(c *Config) any { return &c.Conversation.Grace },
	}, {
		Path: "stream.max_message", Kind: Size, Default: `"1MiB"`, Min: 4 * kib, Max: 16 * mib,
		Doc:  "Largest message taken from a client; a larger one closes its stream with 4504.",
		host: func(c *Config) any { return &c.Stream.MaxMessageBytes },
	}, {
		Path: "stream.output_queue", Kind: Size, Default: `"1MiB"`, Min: 64 * kib, Max: 256 * mib,
		Doc:  "Messages that may wait for a client that reads slowly; beyond it the stream is closed with 4008.",
		host: func(c *Config) any { return &c.Stream.OutputQueueBytes },
	}, {
		Path: streamOrigins, Kind: List, Default: `[]`,
		Doc:  "Origins of web pages that may stream and, over HTTP, read conversations, such as \"https://app.example.com\": exact matches. Empty: pages of this machine may stream, and none may read.",
		host: func(c *Config) any { return &c.Stream.Origins },
	}, {
		Path: "stream.handshake_timeout", Kind: Duration, Default: `"10s"`, Min: second, Max: 5 * minute,
		Doc:  "How long a client may take for its TLS handshake, and then for the head of a request.",
		host: func(c *Config) any { return &c.Stream.HandshakeTimeout },
	}, {
		Path: "stream.start_timeout", Kind: Duration, Default: `"10s"`, Min: 100 * millisecond, Max: 5 * minute,
		Doc:  "How long a client may take to send start after it has connected.",
		host: func(c *Config) any { return &c.Stream.StartTimeout },
	}, {
		Path: "stream.ping_interval", Kind: Duration, Default: `"20s"`, Min: 100 * millisecond, Max: hour,
		Doc:  "Time between two pings to a client.",
		host: func(c *Config) any { return &c.Stream.PingInterval },
	}, {
		Path: "stream.pong_timeout", Kind: Duration, Default: `"40s"`, Min: 200 * millisecond, Max: 2 * hour,
		Doc:  "No answer to pings for this long closes the stream with 4012. Longer than ping_interval.",
		host: func(c *Config) any { return &c.Stream.PongTimeout },
	}, {
		Path: "stream.idle_timeout", Kind: Duration, Default: `"5m"`, Min: second, Max: 24 * hour,
		Doc:  "No message for this long, keepalive included, closes the stream with 4010.",
		host: func(c *Config) any { return &c.Stream.IdleTimeout },
	}, {
		Path: "stream.audio_rate", Kind: Whole, Unit: "times real time", Default: `4`, Min: 0, Max: 1000,
		Doc:  "How fast a client may send audio on average, for what it has recorded before; faster closes its stream with 4507. 0 is no limit.",
		host: func(c *Config) any { return &c.Stream.AudioRate },
	}, {
		Path: "stream.audio_burst", Kind: Duration, Default: `"5m"`, Min: second, Max: 24 * hour,
		Doc:  "Audio that a client may send at once on top of audio_rate.",
		host: func(c *Config) any { return &c.Stream.AudioBurst },
	}, {
		Path: "stream.per_user", Kind: Whole, Unit: "streams", Default: `16`, Min: 0, Max: 1_000_000,
		Doc:  "Streams of one user at once; one more is refused with 4508. 0 is no limit.",
		host: func(c *Config) any { return &c.Stream.PerUser },
	}, {
		Path: "stream.sessions", Kind: Whole, Unit: "sessions", Default: `10000`, Min: 1, Max: 1_000_000,
		Doc:  "Sessions with a stream at once, of all users; clients beyond it are asked to come back later. As many again may wait for a stream to resume them.",
		host: func(c *Config) any { return &c.Stream.Sessions },
	}, {
		Path: "stream.compression", Kind: Bool, Default: `false`,
		Doc:  "Whether messages are compressed (permessage-deflate) for clients that ask for it. It costs time, and audio gets no smaller.",
		host: func(c *Config) any { return &c.Stream.Compression },
	}, {
		Path: "audio.buffer", Kind: Size, Default: `"4MiB"`, Min: 64 * kib, Max: gib,
		Doc:  "Audio of one session that may wait for the slowest app that receives it; beyond it the oldest is dropped, counted and told to the client. Without such an app nothing is buffered.",
		host: func(c *Config) any { return &c.Audio.BufferBytes },
	}, {
		Path: "jobs.attempts", Kind: Whole, Unit: "attempts", Default: `5`, Min: 1, Max: 20,
		Doc:  "How often an app's work on a completed conversation is tried before it becomes a dead letter, where another attempt may help. After a trap, spent fuel or too much memory it is tried twice.",
		host: func(c *Config) any { return &c.Jobs.Attempts },
	}, {
		Path: "jobs.over", Kind: Duration, Default: `"10m"`, Min: second, Max: 24 * hour,
		Doc:  "The time from the first of these attempts to the last. The waits between them grow fourfold each.",
		host: func(c *Config) any { return &c.Jobs.Over },
	}, {
		Path: "replay.keep", Kind: Size, Default: `"64MiB"`, Min: 0, Max: 64 * gib,
		Doc:  "Disk for recordings of invocations that failed, which `auricle app run -replay` runs again. The oldest go first. They hold what was said. 0 records nothing.",
		host: func(c *Config) any { return &c.Replay.KeepBytes },
	}, {
		Path: "replay.one_in", Kind: Whole, Unit: "invocations", Default: `0`, Min: 0, Max: 1_000_000_000,
		Doc:  "Besides failures, record one invocation in so many. 0 records none.",
		host: func(c *Config) any { return &c.Replay.OneIn },
	}, {
		Path: "retention.conversations.age", Kind: Duration, Default: `"0s"`, Min: 0, Max: 87_600 * hour,
		Doc:  "Completed conversations older than this are removed, with all that belongs to them. 0s keeps them.",
		host: func(c *Config) any { return &c.Retention.Conversations.Age },
	}, {
		Path: "retention.conversations.size", Kind: Size, Default: `"32GiB"`, Min: 0, Max: 65_536 * gib,
		Doc:  "Disk for completed conversations; beyond it the oldest are removed. 0 is no limit.",
		host: func(c *Config) any { return &c.Retention.Conversations.Bytes },
	}, {
		Path: "retention.outputs.age", Kind: Duration, Default: `"0s"`, Min: 0, Max: 87_600 * hour,
		Doc:  "What apps made of conversations is removed when it is older than this. 0s keeps it as long as its conversation.",
		host: func(c *Config) any { return &c.Retention.Outputs.Age },
	}, {
		Path: "retention.outputs.size", Kind: Size, Default: `"16GiB"`, Min: 0, Max: 65_536 * gib,
		Doc:  "Disk for what apps made of conversations; beyond it the oldest is removed. 0 is no limit.",
		host: func(c *Config) any { return &c.Retention.Outputs.Bytes },
	}, {
		Path: "retention.dead_letters.age", Kind: Duration, Default: `"720h"`, Min: 0, Max: 87_600 * hour,
		Doc:  "Dead letters older than this are removed. 0s keeps them.",
		host: func(c *Config) any { return &c.Retention.DeadLetters.Age },
	}, {
		Path: "retention.dead_letters.size", Kind: Size, Default: `"1GiB"`, Min: 0, Max: 65_536 * gib,
		Doc:  "Disk for dead letters; beyond it the oldest are removed. 0 is no limit.",
		host: func(c *Config) any { return &c.Retention.DeadLetters.Bytes },
	}, {
		Path: natsURLs, Kind: List, Default: `[]`,
		Doc:  "Servers of a NATS cluster with JetStream, such as \"nats://10.0.0.1:4222\", that several hosts share in the place of data_dir. Empty: conversations are kept in data_dir.",
		host: func(c *Config) any { return &c.Store.NATS.URLs },
	}, {
		Path: "store.nats.credentials", Kind: Path, Default: `""`,
		Doc:  "The credentials file (.creds) for the cluster; empty: none. Relative to this file's directory.",
		host: func(c *Config) any { return &c.Store.NATS.Credentials },
	}, {
		Path: "store.nats.ca", Kind: Path, Default: `""`,
		Doc:  "Certificates (PEM) that the cluster's are checked with; empty: the system's. Relative to this file's directory.",
		host: func(c *Config) any { return &c.Store.NATS.CA },
	}, {
		Path: "store.nats.replicas", Kind: Whole, Unit: "replicas", Default: `3`, Min: 1, Max: 5,
		Doc:  "How many of the cluster's servers keep each record. With 3, one server may be lost.",
		host: func(c *Config) any { return &c.Store.NATS.Replicas },
	}, {
		Path: "auth.jwt.issuer", Kind: Text, Default: `""`,
		Doc:  "Who issues the JWTs that are taken: their iss, exactly. Required with keys.",
		host: func(c *Config) any { return &c.Auth.JWT.Issuer },
	}, {
		Path: "auth.jwt.audience", Kind: Text, Default: `""`,
		Doc:  "For whom they are issued: one of their aud, exactly, so that a token for another service does not open this one. Required with keys.",
		host: func(c *Config) any { return &c.Auth.JWT.Audience },
	}, {
		Path: "auth.jwt.algorithms", Kind: List, Default: `[]`, Choices: []string{"HS256", "RS256", "ES256", "EdDSA"},
		Doc:  "The algorithms that are taken, no others. Empty: HS256 with a secret, the other three with a JWK set.",
		host: func(c *Config) any { return &c.Auth.JWT.Algorithms },
	}, {
		Path: "auth.jwt.jwks_file", Kind: Path, Default: `""`,
		Doc:  "The issuer's public keys, a JWK set (RFC 7517); read at the start and at a reload. Relative to this file's directory.",
		host: func(c *Config) any { return &c.Auth.JWT.JWKSFile },
	}, {
		Path: "auth.jwt.jwks_url", Kind: Text, Default: `""`,
		Doc:  "Where the issuer publishes its public keys, https://; read again and again, and when a key is unknown. While it can't be read the last keys stay in force.",
		host: func(c *Config) any { return &c.Auth.JWT.JWKSURL },
	}, {
		Path: "auth.jwt.secret_file", Kind: Path, Default: `""`,
		Doc:  "The secret of HS256, 32 bytes or more; a line's end at its end is not part of it. Relative to this file's directory.",
		host: func(c *Config) any { return &c.Auth.JWT.SecretFile },
	}, {
		Path: "auth.jwt.leeway", Kind: Duration, Default: `"30s"`, Min: 0, Max: 10 * minute,
		Doc:  "How far the issuer's clock may be from this host's.",
		host: func(c *Config) any { return &c.Auth.JWT.Leeway },
	}, {
		Path: "auth.jwt.scopes", Kind: List, Default: `["stream", "read"]`, Choices: authScopes,
		Doc:  "What a JWT without a scope claim allows.",
		host: func(c *Config) any { return &c.Auth.JWT.Scopes },
	}, {
		Path: "auth.tokens.ttl", Kind: Duration, Default: `"60s"`, Min: second, Max: 10 * minute,
		Doc:  "How long a single-use token of `POST /v1/tokens` may be used, at most.",
		host: func(c *Config) any { return &c.Auth.Tokens.TTL },
	}, {
		Path: "auth.tokens.per_user", Kind: Whole, Unit: "tokens", Default: `16`, Min: 1, Max: 1000,
		Doc:  "Single-use tokens of one user that are out at once.",
		host: func(c *Config) any { return &c.Auth.Tokens.PerUser },
	}, {
		Path: "auth.tokens.most", Kind: Whole, Unit: "tokens", Default: `10000`, Min: 1, Max: 1_000_000,
		Doc:  "Single-use tokens that are out at once, of all users.",
		host: func(c *Config) any { return &c.Auth.Tokens.Most },
	}, {
		Path: authTokenDigest, Kind: Digest, Required: true,
		Doc:  "The SHA-256 of the token, as `auricle token new` prints it. The token itself is kept nowhere.",
		auth: func(t *AuthToken) any { return &t.SHA256 },
	}, {
		Path: authTokenUID, Kind: Text,
		Doc:  "The one user it is for. Left out: any, as for a backend that speaks for all of its users.",
		auth: func(t *AuthToken) any { return &t.UID },
	}, {
		Path: "auth.token.scopes", Kind: List, Required: true, Choices: authScopes,
		Doc:  "What it allows.",
		auth: func(t *AuthToken) any { return &t.Scopes },
	}, {
		Path: appModule, Kind: Path, Required: true,
		Doc: "The app's WebAssembly file; not with a `webhook` block. Relative to this file's directory.",
		app: func(a *App) any { return &a.Module },
	}, {
		Path: appSHA256, Kind: Digest,
		Doc: "Pins the module: the host does not start when the file's SHA-256 is another. Left out, any file will do.",
		app: func(a *App) any { return &a.SHA256 },
	}, {
		Path: appGrant, Kind: List, Default: `[]`, Choices: capabilityNames(),
		Doc: "What the app may receive and do. It gets what its manifest asks for and this list has, nothing else.",
		app: func(a *App) any { return &a.Grant },
	}, {
		Path: appUsers, Kind: List, Default: `["*"]`,
		Doc: `The users (uid) whose conversations the app works on; "*" is everyone.`,
		app: func(a *App) any { return &a.Users },
	}, {
		Path: appState, Kind: Choice, Default: `"fresh"`, Choices: []string{string(event.StateFresh), string(event.StateSession)},
		Doc: `How long the app's memory lives. "fresh": every event begins with nothing of those before. "session": it is kept for each user's session, for an app whose manifest asks for it; what that costs is counted.`,
		app: func(a *App) any { return (*string)(&a.State) },
	}, {
		Path: appSettings, Kind: Object,
		Doc: "The app's own settings, checked against the schema in its manifest.",
		app: func(a *App) any { return &a.Settings },
	}, {
		Path: "app.webhook.conversation", Kind: Text,
		Doc: "In the place of a module: where each completed conversation is posted to, as Omi does, https:// or, inside, http://. Tried again when it fails.",
		app: func(a *App) any { return &a.hook().Conversation.URL },
	}, {
		Path: "app.webhook.transcript", Kind: Text,
		Doc: "Where what is said is posted to as it is said.",
		app: func(a *App) any { return &a.hook().Transcript.URL },
	}, {
		Path: "app.webhook.audio", Kind: Text,
		Doc: "Where audio is posted to as it is heard, 16-bit mono PCM. Without it none is kept. When the webhook lags it gets the newest piece, and the others are counted as dropped.",
		app: func(a *App) any { return &a.hook().Audio.URL },
	}, {
		Path: "app.webhook.audio_every", Kind: Duration, Default: `"4s"`, Min: 100 * millisecond, Max: 10 * second,
		Doc: "The length of a piece of audio.",
		app: func(a *App) any { return &a.hook().AudioEvery },
	}, {
		Path: "app.webhook.conversation_timeout", Kind: Duration, Default: `"10s"`, Min: 100 * millisecond, Max: minute,
		Doc: "How long the webhook may take for a conversation.",
		app: func(a *App) any { return &a.hook().Conversation.Timeout },
	}, {
		Path: "app.webhook.transcript_timeout", Kind: Duration, Default: `"5s"`, Min: 100 * millisecond, Max: minute,
		Doc: "How long it may take for a piece of transcript.",
		app: func(a *App) any { return &a.hook().Transcript.Timeout },
	}, {
		Path: "app.webhook.audio_timeout", Kind: Duration, Default: `"5s"`, Min: 100 * millisecond, Max: minute,
		Doc: "How long it may take for a piece of audio.",
		app: func(a *App) any { return &a.hook().Audio.Timeout },
	}, {
		Path: "app.limits.fuel", Kind: Whole, Unit: "units of fuel", Min: 1, Max: 1_000_000_000_000_000,
		Doc: "Instructions that one invocation may execute. Left out: what the manifest says, otherwise 50e6 for live events and 1000e6 for completed conversations.",
		app: func(a *App) any { return &a.Limits.Fuel },
	}, {
		Path: "app.limits.wall", Kind: Duration, Min: millisecond, Max: 10 * minute,
		Doc: `Time that one invocation may take. Left out: what the manifest says, otherwise "250ms" for live events and "5s" for completed conversations.`,
		app: func(a *App) any { return &a.Limits.Wall },
	}, {
		Path: "app.limits.conversation_wall", Kind: Duration, Min: millisecond, Max: 10 * minute,
		Doc: `Time for a completed conversation, in the place of wall: web services that the app calls take part of it. Left out: wall, where that is set; else what the manifest says, otherwise "5s".`,
		app: func(a *App) any { return &a.Limits.ConversationWall },
	}, {
		Path: "app.limits.memory", Kind: Size, Min: 64 * kib, Max: 4 * gib,
		Doc: `Memory that one invocation may use. Left out: what the manifest says, otherwise "64MiB".`,
		app: func(a *App) any { return &a.Limits.MemoryBytes },
	}, {
		Path: appHTTPHosts, Kind: Hosts,
		Doc: "The web hosts that the app may call, of those that its manifest names. Left out: all of those.",
		app: func(a *App) any { return &a.HTTP.Hosts },
	}, {
		Path: "app.http.private", Kind: Ranges, Default: `[]`,
		Doc: "Addresses that are not public, and that the app may reach all the same where a granted host's name leads there. Without it loopback, private networks, link-local addresses and a cloud's metadata are refused.",
		app: func(a *App) any { return &a.HTTP.Private },
	}, {
		Path: "app.http.max_request", Kind: Size, Min: kib, Max: mib,
		Doc: `Largest body of a request. Left out: "1MiB".`,
		app: func(a *App) any { return &a.HTTP.MaxRequestBytes },
	}, {
		Path: "app.http.max_response", Kind: Size, Min: kib, Max: mib,
		Doc: `Largest body of an answer; of a larger one the app gets nothing. Left out: "1MiB".`,
		app: func(a *App) any { return &a.HTTP.MaxResponseBytes },
	}, {
		Path: "app.http.timeout", Kind: Duration, Min: millisecond, Max: 10 * minute,
		Doc: `Time for one call, with its redirects and its body, within the invocation's own. Left out: "10s".`,
		app: func(a *App) any { return &a.HTTP.Timeout },
	}, {
		Path: "app.http.concurrency", Kind: Whole, Unit: "calls", Min: 1, Max: mostConcurrency,
		Doc: "Calls of the app under way at once; one more is refused. Left out: 8.",
		app: func(a *App) any { return &a.HTTP.Concurrency },
	}, {
		Path: "app.http.rate", Kind: Whole, Unit: "calls a minute", Min: 1, Max: mostPerMinute,
		Doc: "Calls of the app on average, a tenth of a minute's at once; what is beyond is refused. Left out: 600.",
		app: func(a *App) any { return &a.HTTP.RatePerMinute },
	}, {
		Path: "app.http.header.value", Kind: Hidden, Required: true,
		Doc:    "The header's value, which the host puts into the app's requests and the app never sees.",
		header: func(h *AppHTTPHeader) any { return &h.Value },
	}, {
		Path: "app.http.header.hosts", Kind: Hosts,
		Doc:    "The hosts whose requests get it. Left out: every granted host's, so name them where there are several.",
		header: func(h *AppHTTPHeader) any { return &h.Hosts },
	}, {
		Path: appHTTPSignSecret, Kind: Hidden,
		Doc: "Signs the app's requests by Auricle-Signature (docs/http.md), so that the service can tell that they come from this host. Left out: not signed.",
		app: func(a *App) any { return &a.HTTP.Sign.Secret },
	}, {
		Path: "app.http.sign.hosts", Kind: Hosts,
		Doc: "The hosts whose requests are signed. Left out: every granted host's.",
		app: func(a *App) any { return &a.HTTP.Sign.Hosts },
	},
}

// Reference returns every key, in the order in which a reader wants them.
func Reference() []Key { return slices.Clone(keys) }

// Env returns the environment variable that sets k, such as
// "AURICLE_POOL_WORKERS"; "" for keys of blocks with a name, which only a file sets.
func (k Key) Env() string {
	if k.host == nil {
		return ""
	}
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_"))
}

// Flag returns the name of the flag that sets k, without its dash, such as
// "pool-workers"; "" for keys of blocks with a name, which only a file sets.
func (k Key) Flag() string {
	if k.host == nil {
		return ""
	}
	return flagName(k.Path)
}

// Bounds returns what k may be between, such as "2s to 4h", or its choices;
// "" where anything goes.
func (k Key) Bounds() string {
	switch k.Kind {
	case Whole:
		return k.format(k.Min) + " to " + k.format(k.Max) + " " + k.Unit
	case Duration, Size:
		return k.format(k.Min) + " to " + k.format(k.Max)
	}
	return strings.Join(k.Choices, ", ")
}

// inApp returns k's path as an operator sees it within its block with a name.
func (k Key) inApp() string {
	switch {
	case k.app != nil:
		return strings.TrimPrefix(k.Path, appPath+".")
	case k.auth != nil:
		return strings.TrimPrefix(k.Path, authTokenPath+".")
	case k.header != nil:
		return strings.TrimPrefix(k.Path, appHTTPHeader+".")
	}
	return k.Path
}

// example returns a value of k as the file would say it.
func (k Key) example() string {
	if k.Default != "" && k.Default != "[]" && k.Default != "0" {
		return k.Default
	}
	switch k.Kind {
	case Path:
		return `"build/apps/keywords.wasm"`
	case Digest:
		return `"` + strings.Repeat("0", 8) + `…"`
	case List:
		switch {
		case k.Path == natsURLs:
			return `["nats://10.0.0.1:4222"]`
		case k.app == nil:
			return fmt.Sprintf("[%q]", k.Choices[0])
		}
		if k.Path == streamOrigins {
			return `["https://app.example.com"]`
		}
		if k.Path == acmeDomains {
			return `["auricle.example.org"]`
		}
		return `["transcript", "notify"]`
	case Hosts:
		return `["api.example.com"]`
	case Ranges:
		return `["10.0.0.0/8"]`
	case Hidden:
		return `env("API_KEY")`
	case Object:
		return `{ words = ["budget"] }`
	case Duration:
		return `"250ms"`
	case Size:
		return `"32MiB"`
	case Whole:
		if k.Max > 1e9 {
			return "50e6"
		}
		return "8"
	}
	return `"…"`
}

func capabilityNames() []string {
	names := make([]string, len(event.Capabilities))
	for i, c := range event.Capabilities {
		names[i] = string(c)
	}
	return names
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func lookup(path string) (Key, bool) {
	for _, k := range keys {
		if k.Path == path {
			return k, true
		}
	}
	return Key{}, false
}

// isBlock reports whether path is that of a block: something that keys are in.
func isBlock(path string) bool {
	return slices.ContainsFunc(keys, func(k Key) bool { return strings.HasPrefix(k.Path, path+".") })
}

// namesIn returns the names of the keys and blocks directly in the block at
// path, in the table's order.
func namesIn(path string) []string {
	var names []string
	for _, k := range keys {
		rest := k.Path
		if path != "" {
			var ok bool
			if rest, ok = strings.CutPrefix(k.Path, path+"."); !ok {
				continue
			}
		}
		name, _, _ := strings.Cut(rest, ".")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
