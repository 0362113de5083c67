package config_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/reach"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/spf13/pflag"
)

// load reads src as the file conf/config.hcl.
func load(src string, environ ...string) (config.Config, config.Problems) {
	return config.Load(config.LoadOptions{Path: "conf/config.hcl", Source: []byte(src), Environ: environ})
}

// secrets is the environment that the good files take theirs from.
var secrets = []string{"NOTES_KEY=Bearer one", "HOOK_SECRET=0123456789abcdef", "NOTES_KEY=Bearer two"}

// hosts returns patterns as the file has them.
func hosts(t *testing.T, patterns ...string) []reach.Host {
	t.Helper()
	var hs []reach.Host
	for _, p := range patterns {
		h, err := reach.Parse(p)
		if err != nil {
			t.Fatal(err)
		}
		hs = append(hs, h)
	}
	return hs
}

func TestDefaults(t *testing.T) {
	got := config.Default()
	want := config.Config{
		Listen: "127.0.0.1:7080", Operators: config.Operators{Listen: "127.0.0.1:7081"}, DataDir: "data", Drain: 20 * time.Second, LogLevel: "info",
		Pool:         config.Pool{Workers: 32, Queue: 1024},
		Conversation: config.Conversation{Silence: 120 * time.Second, Grace: 30 * time.Second},
		Stream: config.Stream{
			MaxMessageBytes: 1 << 20, OutputQueueBytes: 1 << 20,
			HandshakeTimeout: 10 * time.Second, StartTimeout: 10 * time.Second, PingInterval: 20 * time.Second, PongTimeout: 40 * time.Second,
			IdleTimeout: 5 * time.Minute, AudioRate: 4, AudioBurst: 5 * time.Minute, PerUser: 16, Sessions: 10_000,
		},
		Audio:  config.Audio{BufferBytes: 4 << 20},
		Jobs:   config.Jobs{Attempts: 5, Over: 10 * time.Minute},
		Replay: config.Replay{KeepBytes: 64 << 20},
		Retention: config.Retention{
			Conversations: config.Kept{Bytes: 32 << 30}, Outputs: config.Kept{Bytes: 16 << 30},
			DeadLetters: config.Kept{Age: 720 * time.Hour, Bytes: 1 << 30},
		},
		Store: config.Store{NATS: config.NATS{Replicas: 3}},
		Auth:  config.Auth{JWT: config.AuthJWT{Leeway: 30 * time.Second, Scopes: []string{"stream", "read"}}, Tokens: config.AuthTokens{TTL: time.Minute, PerUser: 16, Most: 10_000}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if _, ps := config.Load(config.LoadOptions{}); len(ps) > 0 {
		t.Errorf("problems of the defaults: %v", ps)
	}
}

func TestGoodFilesHaveNoProblems(t *testing.T) {
	for _, path := range filesIn(t, "testdata/good") {
		if _, ps := config.Load(config.LoadOptions{Path: path, Environ: secrets}); len(ps) > 0 {
			t.Errorf("%s: %v", path, ps)
		}
	}
}

func TestEveryKeyOfAFileArrives(t *testing.T) {
	const path = "testdata/good/every_key.hcl"
	c, ps := config.Load(config.LoadOptions{Path: path, Environ: secrets})
	if len(ps) > 0 {
		t.Fatalf("problems: %v", ps)
	}
	at := func(line, column int) config.Pos { return config.Pos{File: path, Line: line, Column: column} }
	settings := `{"words":["budget","größe"],"a/b~c":{"deep":[null,true,-0.5]},"big":12345678901234567890,` +
		`"text":"two\nlines\n","true":1e-07,"escaped":"${not.a.variable} <&> \"q\"","nothing":{}}`
	const apps = 72 // the line on which the app blocks begin
	want := config.Config{
		Listen: "[::1]:0", Operators: config.Operators{Listen: "localhost:7443"},
		TLS: config.TLS{ACME: config.ACME{
			Domains: []string{"auricle.example.org", "a.example.org"}, Email: "ops@example.org",
			DirectoryURL: "https://acme.example.org/directory", CA: "testdata/good/acme.pem", AcceptTerms: true,
		}},
		DataDir: "/var/lib/auricle", Drain: 0, LogLevel: "trace", LogJSON: true,
		Pool:         config.Pool{Workers: 4, Queue: 1000, PerApp: 2},
		Conversation: config.Conversation{Silence: 2 * time.Second, Grace: time.Hour},
		Stream: config.Stream{
			MaxMessageBytes: 65536, OutputQueueBytes: 2 << 20,
			HandshakeTimeout: 5 * time.Second, Origins: []string{"https://app.example.com", "http://[::1]:3000"}, StartTimeout: 90 * time.Second, PingInterval: 1500 * time.Millisecond, PongTimeout: 3 * time.Second,
			IdleTimeout: time.Minute, AudioRate: 10, AudioBurst: 90 * time.Second, PerUser: 3, Sessions: 500, Compression: true,
		},
		Audio:  config.Audio{BufferBytes: 64 << 10},
		Jobs:   config.Jobs{Attempts: 3, Over: 30 * time.Second},
		Replay: config.Replay{KeepBytes: 1 << 20, OneIn: 1000},
		Retention: config.Retention{
			Conversations: config.Kept{Age: 48 * time.Hour, Bytes: 1 << 30}, Outputs: config.Kept{Age: 24 * time.Hour, Bytes: 0},
			DeadLetters: config.Kept{Age: 0, Bytes: 1 << 20},
		},
		Store: config.Store{NATS: config.NATS{
			URLs: []string{"nats://10.0.0.1:4222", "tls://nats.example.org"}, Credentials: "testdata/good/auricle.creds", CA: "/etc/ssl/nats.pem", Replicas: 1,
		}},
		Auth: config.Auth{
			JWT: config.AuthJWT{
				Issuer: "https://login.example.org/", Audience: "auricle", Algorithms: []string{"EdDSA", "ES256"},
				JWKSFile: "testdata/good/jwks.json", Leeway: time.Minute, Scopes: []string{"read"},
			},
			Tokens: config.AuthTokens{TTL: 30 * time.Second, PerUser: 2, Most: 1000},
			Static: []config.AuthToken{
				{Name: "backend", SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", Scopes: []string{"stream", "operate"}, Pos: at(149, 3)},
				{Name: "ana", SHA256: "0086d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", UID: "ana@example.org", Scopes: []string{"read"}, Pos: at(154, 3)},
			},
		},
		Apps: []config.App{{
			Name: "notes.summary_2-b", Module: "testdata/apps/notes.wasm",
			SHA256:   "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
			Grant:    []event.Capability{event.CapConversation, event.CapNotify},
			Users:    []string{"anna", "bert@example.org"},
			State:    "session",
			Settings: json.RawMessage(settings),
			Limits:   config.AppLimits{Fuel: 50_000_000, Wall: 250 * time.Millisecond, MemoryBytes: 32 << 20, ConversationWall: 20 * time.Second},
			HTTP: config.AppHTTP{
				Hosts:           hosts(t, "api.example.com", "*.example.org", "http://10.1.2.3:8080"),
				Private:         []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
				MaxRequestBytes: 4 << 10, MaxResponseBytes: 64 << 10, Timeout: 3 * time.Second, Concurrency: 2, RatePerMinute: 60,
				Headers: []config.AppHTTPHeader{{
					Name: "Authorization", Value: config.NewSecret("Bearer two"), Hosts: hosts(t, "api.example.com"), Pos: at(apps+35, 5),
				}},
				Sign: config.AppHTTPSign{Secret: config.NewSecret("0123456789abcdef"), Hosts: hosts(t, "*.example.org")},
				Pos: config.AppHTTPPos{
					Hosts: at(apps+27, 20), Each: []config.Pos{at(apps+27, 21), at(apps+27, 40), at(apps+27, 57)},
				},
			},
			Pos: config.AppPos{
				Block: at(apps, 1), Module: at(apps+1, 12), SHA256: at(apps+2, 12), Grant: at(apps+3, 12), Users: at(apps+4, 12), State: at(apps+5, 12), Settings: at(apps+6, 14),
				Grants: []config.Pos{at(apps+3, 13), at(apps+3, 29)},
				Setting: map[string]config.Pos{
					"": at(apps+6, 14), "/words": at(apps+7, 17), "/words/0": at(apps+7, 18), "/words/1": at(apps+7, 28),
					"/a~1b~0c": at(apps+8, 17), "/a~1b~0c/deep": at(apps+8, 26), "/a~1b~0c/deep/0": at(apps+8, 27),
					"/a~1b~0c/deep/1": at(apps+8, 33), "/a~1b~0c/deep/2": at(apps+8, 39),
					"/big": at(apps+9, 17), "/text": at(apps+10, 17), "/true": at(apps+14, 17), "/escaped": at(apps+15, 17), "/nothing": at(apps+16, 17),
				},
			},
		}, {
			Name: "bare", Module: "/opt/bare.wasm", Users: []string{"*"}, State: "fresh",
			Pos: config.AppPos{
				Block: at(apps+47, 1), Module: at(apps+47, 23), SHA256: at(apps+47, 1), Grant: at(apps+47, 1), Users: at(apps+47, 1), State: at(apps+47, 1), Settings: at(apps+47, 1),
			},
		}},
	}
	if got := c.Pos["pool.workers"]; got != at(8, 13) {
		t.Errorf("pool.workers stands at %v, want %v", got, at(8, 13))
	}
	c.Pos = nil
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	if !json.Valid(c.Apps[0].Settings) {
		t.Errorf("settings are not JSON: %s", c.Apps[0].Settings)
	}
}

func TestLaterSourcesWin(t *testing.T) {
	flags := func(args ...string) *pflag.FlagSet {
		fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		config.AddFlags(fs)
		fs.String("config", "config.hcl", "a flag that is no key")
		if err := fs.Parse(args); err != nil {
			t.Fatal(err)
		}
		return fs
	}
	const file = "pool {\n  workers = 5\n}\n"
	for _, row := range []struct {
		name    string
		file    string
		environ []string
		args    []string
		workers int
		from    config.Pos
	}{
		{"default", "", nil, nil, 32, config.Pos{File: "default"}},
		{"file", file, nil, nil, 5, config.Pos{File: "conf/config.hcl", Line: 2, Column: 13}},
		{"environment", file, []string{"AURICLE_POOL_WORKERS=6"}, nil, 6, config.Pos{File: "AURICLE_POOL_WORKERS"}},
		{"flag", file, []string{"AURICLE_POOL_WORKERS=6"}, []string{"--pool-workers=7", "--config=x"}, 7, config.Pos{File: "-pool-workers"}},
		{"empty variable is none", file, []string{"AURICLE_POOL_WORKERS="}, nil, 5, config.Pos{File: "conf/config.hcl", Line: 2, Column: 13}},
		{"another block's values stay", file, []string{"AURICLE_POOL_QUEUE=9"}, nil, 5, config.Pos{File: "conf/config.hcl", Line: 2, Column: 13}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, ps := config.Load(config.LoadOptions{Path: "conf/config.hcl", Source: []byte(row.file), Environ: row.environ, Flags: flags(row.args...)})
			if len(ps) > 0 {
				t.Errorf("problems: %v", ps)
			}
			if c.Pool.Workers != row.workers || c.Pos["pool.workers"] != row.from {
				t.Errorf("workers = %d from %v, want %d from %v", c.Pool.Workers, c.Pos["pool.workers"], row.workers, row.from)
			}
		})
	}
}

func TestProblemsNameTheVariableOrFlag(t *testing.T) {
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.AddFlags(fs, "listen", "log_json", "drain")
	if err := fs.Parse([]string{"--listen", "0.0.0.0:80", "--log-json", "--drain=20"}); err != nil {
		t.Fatal(err)
	}
	c, ps := config.Load(config.LoadOptions{
		Environ: []string{
			"AURICLE=/usr/bin/auricle", "PATH=/usr/bin", "AURICLE_POOL_QUEUE=many", "AURICLE_STREAM_MAX_MESSAGE=1KiB",
			"AURICLE_POOL_WORKER=4", "AURICLE_CONVERSATION=5s", "AURICLE_APP_KEYWORDS_LIMITS_FUEL=5", "AURICLE_SOMETHING=1",
			"AURICLE_SERVICE_HOST=10.0.0.1", "AURICLE_PORT_7080_TCP_ADDR=10.0.0.1", "AURICLE_PORT=tcp://10.0.0.1:7080",
		},
		Flags: fs,
	})
	if !c.LogJSON {
		t.Error("-log-json had no effect")
	}
	want := strings.Join([]string{
		`-drain: drain: expected a duration such as 20s, got "20"; give one, or leave the flag out`,
		`-listen: listen: "0.0.0.0" is not a loopback address: there is no auth block, so a public address would let anyone stream as any user; say who may come in with an auth block (docs/security.md), or listen on 127.0.0.1:80`,
		`AURICLE_APP_KEYWORDS_LIMITS_FUEL: warning: this variable sets nothing; set apps in the configuration file`,
		`AURICLE_CONVERSATION: warning: this variable sets nothing; set the keys in it: AURICLE_CONVERSATION_GRACE, AURICLE_CONVERSATION_SILENCE`,
		`AURICLE_POOL_QUEUE: pool.queue: expected a whole number such as 1024, got "many"; set one, or unset the variable`,
		`AURICLE_POOL_WORKER: warning: this variable sets nothing; did you mean AURICLE_POOL_WORKERS?`,
		`AURICLE_SOMETHING: warning: this variable sets nothing; unset it (known: ` + strings.Join(variables(), ", ") + `)`,
		`AURICLE_STREAM_MAX_MESSAGE: stream.max_message: 1KiB is below the least, 4KiB; set 4KiB to 16MiB`,
	}, "\n")
	if got := ps.String(); got != want {
		t.Errorf("problems\n%s\nwant\n%s", got, want)
	}
}

func TestPathsStartAtTheFile(t *testing.T) {
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.AddFlags(fs)
	if err := fs.Parse([]string{"--data-dir=./flag/"}); err != nil {
		t.Fatal(err)
	}
	const app = "app \"a\" {\n  module = \"../b/./a.wasm\"\n}\n"
	for _, row := range []struct {
		name            string
		o               config.LoadOptions
		dataDir, module string
	}{
		{"default", config.LoadOptions{Path: "conf/config.hcl", Source: []byte(app)}, "conf/data", "b/a.wasm"},
		{"file beside the working directory", config.LoadOptions{Path: "config.hcl", Source: []byte(app)}, "data", "../b/a.wasm"},
		{"file", config.LoadOptions{Path: "/etc/auricle/config.hcl", Source: []byte("data_dir = \"../d\"\n" + app)}, "/etc/d", "/etc/b/a.wasm"},
		{"environment", config.LoadOptions{Path: "/etc/auricle/config.hcl", Source: []byte(app), Environ: []string{"AURICLE_DATA_DIR=env/x/.."}}, "env", "/etc/b/a.wasm"},
		{"flag", config.LoadOptions{Path: "/etc/auricle/config.hcl", Source: []byte(app), Flags: fs}, "flag", "/etc/b/a.wasm"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, ps := config.Load(row.o)
			if len(ps) > 0 {
				t.Fatalf("problems: %v", ps)
			}
			if c.DataDir != filepath.FromSlash(row.dataDir) || c.Apps[0].Module != filepath.FromSlash(row.module) {
				t.Errorf("data_dir %s, module %s; want %s, %s", c.DataDir, c.Apps[0].Module, row.dataDir, row.module)
			}
		})
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.hcl")
	if err := os.WriteFile(large, bytes.Repeat([]byte("#\n"), 150_000), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.hcl")
	for _, row := range []struct{ path, want string }{
		{missing, missing + `: there is no such file; name yours with -config, or begin with a copy of the config.hcl that comes with Auricle`},
		{dir, dir + `: this is a directory; name the file in it, such as ` + filepath.Join(dir, "config.hcl")},
		{large, large + `: the file is larger than 256KiB; is it a configuration file? Make it smaller, or name another with -config`},
	} {
		// The other sources are checked all the same.
		want := row.want + "\n" + `AURICLE_POOL_WORKERS: pool.workers: expected a whole number such as 32, got "x"; set one, or unset the variable`
		if filepath.IsAbs(row.path) && row.path[0] > 'A' {
			t.Fatalf("path %s sorts after the variable", row.path)
		}
		_, ps := config.Load(config.LoadOptions{Path: row.path, Environ: []string{"AURICLE_POOL_WORKERS=x"}})
		if got := ps.String(); got != want {
			t.Errorf("problems\n%s\nwant\n%s", got, want)
		}
	}
}

// What is usable of a file with faults is there, for its apps to be checked in
// the same run.
func TestFaultyFilesYieldWhatIsUsable(t *testing.T) {
	c, ps := load(`
drain = "20"
log_level = "debug"
app "none" {}
app "good" { module = "a.wasm" }
app "good" { module = "b.wasm" }
app "computed" { module = "${x}.wasm" }
app "Bad" { module = "c.wasm" }
app "grants" {
  module = "d.wasm"
  grant  = ["transcript", "notfy"]
}
`)
	if n := len(ps); n != 6 {
		t.Errorf("%d problems, want 6: %v", n, ps)
	}
	if c.Drain != 20*time.Second || c.LogLevel != "debug" {
		t.Errorf("drain %v, log_level %s; want the default and debug", c.Drain, c.LogLevel)
	}
	var got []string
	for _, a := range c.Apps {
		got = append(got, a.Name+" "+a.Module)
	}
	want := []string{"good conf/a.wasm", "Bad conf/c.wasm", "grants conf/d.wasm"}
	if !slices.Equal(got, want) {
		t.Errorf("apps %q, want %q", got, want)
	}
	if g := c.Apps[2].Grant; !slices.Equal(g, []event.Capability{event.CapTranscript}) {
		t.Errorf("grant %v, want what is known of it", g)
	}
}

func TestDepthCostsNoStack(t *testing.T) {
	for _, unit := range []string{"[", "{a=", "-", "!", "1?1:", "\"${", "\"%{if x}", "a {\n"} {
		src := "settings = " + strings.Repeat(unit, 100_000/len(unit))
		if _, ps := load(src); !ps.HasFault() {
			t.Errorf("%q again and again: no fault", unit)
		}
	}
}

func TestSettingAtFindsTheNearestPlace(t *testing.T) {
	c, ps := load("app \"a\" {\n  module   = \"a.wasm\"\n  settings = { words = [\"x\"] }\n}\napp \"b\" {\n  module = \"b.wasm\"\n}\n")
	if len(ps) > 0 {
		t.Fatalf("problems: %v", ps)
	}
	for _, row := range []struct {
		app     int
		pointer string
		want    string
	}{
		{0, "/words/0", "conf/config.hcl:3:25"},
		{0, "/words", "conf/config.hcl:3:24"},
		{0, "/words/5/name", "conf/config.hcl:3:24"}, // an item that the file lacks
		{0, "/missing", "conf/config.hcl:3:14"},      // a required member that the file lacks
		{0, "", "conf/config.hcl:3:14"},
		{1, "/words", "conf/config.hcl:5:1"}, // no settings at all: the block
	} {
		if got := c.Apps[row.app].Pos.SettingAt(row.pointer).String(); got != row.want {
			t.Errorf("app %d, %q: %s, want %s", row.app, row.pointer, got, row.want)
		}
	}
}

func TestNATSFromTheEnvironment(t *testing.T) {
	c, ps := load("", "AURICLE_STORE_NATS_URLS=nats://a:4222, tls://b", "AURICLE_STORE_NATS_REPLICAS=1")
	if len(ps) > 0 || !slices.Equal(c.Store.NATS.URLs, []string{"nats://a:4222", "tls://b"}) || c.Store.NATS.Replicas != 1 {
		t.Errorf("got %+v, %v", c.Store.NATS, ps)
	}
	_, ps = load("store {\n nats {\n  ca = \"x.pem\"\n }\n}\n")
	if want := `conf/config.hcl:3:8: warning: store.nats.ca has no effect without store.nats.urls; name the cluster's servers, or remove it`; len(ps) != 1 || ps[0].String() != want {
		t.Errorf("got %v, want %s", ps, want)
	}
}

func TestListenTakesLoopbackAddressesOnly(t *testing.T) {
	for _, row := range []struct {
		address string
		good    bool
	}{
		{"127.0.0.1:7080", true},
		{"127.255.255.254:1", true}, // all of 127.0.0.0/8
		{"[::1]:7080", true},
		{"localhost:0", true},
		{"[::ffff:127.0.0.1]:7080", true},
		{"128.0.0.1:7080", false},
		{"[::]:7080", false},
		{"[::1%eth0]:7080", false}, // a zone is a way around
		{"::1:7080", false},        // without brackets it is ambiguous
		{"127.0.0.1:", false},
		{"127.0.0.1:http", false}, // names of ports differ by machine
		{"127.0.0.1:+80", false},
		{"127.0.0.1:080", false},
		{"127.1:7080", false}, // short forms are read differently by different programs
		{"2130706433:7080", false},
		{"localhost.example.org:7080", false},
		{"LOCALHOST:7080", false},
		{" 127.0.0.1:7080", false},
		{"", false},
	} {
		_, ps := load("listen = \"" + row.address + "\"\n")
		if good := len(ps) == 0; good != row.good {
			t.Errorf("%q: good = %v, want %v (%v)", row.address, good, row.good, ps)
		}
	}
}
