package plugins_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/plugins"
)

// registryTemp is where packages are unpacked; TestMain removes it.
var registryTemp string

// strangers are modules that somebody else wrote and published, in as many
// languages as could be found, and something that each is good for.
var strangers = []struct {
	name  string
	in    string // its language
	from  published
	host  map[string]hostFunc
	input string // of an Extism plugin

	drive  func(d *driver) // makes the function that is run; else
	export string          // this one is
	args   []uint64

	want    []uint64 // the first results
	written string   // in what it wrote
	outcome plugins.Outcome
	clocked bool // it keeps the monotonic clock's time in its memory, which is never the same
}{
	{
		name: "sqlite", in: "C",
		from: published{"go", "github.com/ncruces/go-sqlite3@v0.23.0", "embed/sqlite3.wasm", "c06190107bbb3454a1354107ceb35d7536a94f6b2ce1904f66355466f6bea549"},
		host: map[string]hostFunc{
			"go_vfs_find": answer(0),
			"go_randomness": func(_ *world, m guestMemory, stack []uint64) error {
				n := uint32(stack[1])
				stack[0] = uint64(n)
				return m.write(uint32(stack[2]), []byte(strings.Repeat("r", int(n))))
			},
		},
		drive: func(d *driver) {
			d.page("p", 1)
			d.put("p", ":memory:")
			d.get("p")
			d.page("db", 1) // where the pointer to the database goes
			d.get("db")
			d.i32(0x86) // read, write, create, in memory
			d.i32(0)
			d.call("sqlite3_open_v2")
			d.put("p", `create table words (id integer primary key, text text unique, n real);
				with recursive c(x) as (select 1 union all select x+1 from c where x < 2000)
				insert into words select x, printf('word %05d', (x*7919)%2003), x/3.0 from c;
				create index by_n on words (n desc);
				update words set text = upper(text) where id % 3 = 0;
				delete from words where id % 5 = 0;`)
			d.load("db", 0)
			d.get("p")
			d.i32(0)
			d.i32(0)
			d.i32(0)
			d.call("sqlite3_exec")
			d.put("p", `select count(*), sum(id), sum(length(text)), cast(round(sum(n)) as int), sum(text glob 'WORD*') from words where n > 1.5 order by 1`)
			d.load("db", 0)
			d.get("p")
			d.i32(-1)
			d.i32(0)
			d.get("db")
			d.i32(8)
			d.add(0x6a) // the statement goes 8 bytes behind
			d.i32(0)
			d.call("sqlite3_prepare_v3")
			d.load("db", 8)
			d.call("sqlite3_step")
			for i := range int32(5) {
				d.load("db", 8)
				d.i32(i)
				d.call("sqlite3_column_int64")
			}
			d.end(i32Type, i32Type, i32Type, i32Type, i64Type, i64Type, i64Type, i64Type, i64Type)
		},
		// Opened, executed and prepared without an error, a row; then its columns:
		// of 1 to 2000, those above 4 that 5 does not divide.
		want:    []uint64{0, 0, 0, 100, 1596, 1_599_990, 15_960, 533_330, 532},
		outcome: plugins.OK,
	},
	{
		name: "sqlite-parser", in: "C",
		from: published{"go", "github.com/ncruces/go-sqlite3@v0.23.0", "util/sql3util/wasm/sql3parse_table.wasm", "3a26185e6e599888c5360bdd0f51dbd8f5c32d3d7c0d7fb4dc8ca23a2023a71b"},
		drive: func(d *driver) {
			const sql = "CREATE TABLE IF NOT EXISTS main.notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL COLLATE NOCASE, at REAL DEFAULT 1.5, FOREIGN KEY (id) REFERENCES other (id)) STRICT;"
			d.i32(8)
			d.set("p")
			d.put("p", sql)
			d.get("p")
			d.i32(int32(len(sql)))
			d.i32(4)
			d.call("sql3parse_table")
			d.i32(0)
			d.add(0x47) // whether there is a table
			d.i32(0)
			d.set("zero")
			d.load("zero", 4) // an error
			d.end(i32Type, i32Type)
		},
		want: []uint64{1, 0}, outcome: plugins.OK,
	},
	{
		name: "printf", in: "C, by zig cc",
		from:   published{"go", "github.com/tetratelabs/wazero@v1.12.0", "imports/wasi_snapshot_preview1/testdata/zig-cc/wasi.wasm", "e7de85b73b260d3670a73a7307e4dfd48dd47a5593c493fb4044b5f48df6c0c3"},
		export: "_start", written: "unknown command: \n", outcome: plugins.AppError, // it is given none
	},
	{
		name: "nested", in: "C, instrumented",
		from: published{"go", "github.com/extism/go-sdk@v1.7.1", "wasm/nested.c.instr.wasm", "3d8b615ab7ed5373bdebc435fa32cd41376634de77a9b971251c2cd109bcfc99"},
		host: map[string]hostFunc{
			"instrument_enter": note("enter", "i"), "instrument_exit": note("exit", "i"), "instrument_memory_grow": note("grow", "i"),
		},
		export: "_start", written: "Hello from Wasm!", outcome: plugins.OK,
	},
	{
		name: "grow", in: "C++, by Emscripten",
		from:   published{"go", "github.com/tetratelabs/wazero@v1.12.0", "imports/emscripten/testdata/grow.wasm", "65ad9a353f36d3a99166a87a53910833a268b9b16e18b3bf55512c04948ebdd0"},
		host:   map[string]hostFunc{"emscripten_notify_memory_growth": note("grown", "i")},
		export: "_start", written: "grown", outcome: plugins.OK,
	},
	{
		name: "vowels", in: "Rust",
		from:  published{"go", "github.com/extism/go-sdk@v1.7.1", "wasm/count_vowels.wasm", "0c1779c48f56f94b3e3624d76f55e38215870c59ccb3d41f6ba8b2bc22f218f5"},
		host:  extism(),
		input: strings.Repeat("The quick brown fox jumps over the lazy dog. ", 200),
		drive: func(d *driver) {
			d.call("count_vowels")
			d.end(i32Type)
		},
		want: []uint64{0}, written: `\"count\":2200`, outcome: plugins.OK,
	},
	{
		name: "greet", in: "Rust",
		from: published{"go", "github.com/tetratelabs/wazero@v1.12.0", "examples/allocation/rust/testdata/greet.wasm", "486ae5fd39e5438adcbfa958cfc5ee310b9b2ffec7486fb91334d0c4f81a5bb3"},
		host: map[string]hostFunc{"log": print("log", parameter(0), parameter(1))},
		drive: func(d *driver) {
			d.i32(6)
			d.call("allocate")
			d.set("p")
			d.put("p", "world")
			d.get("p")
			d.i32(5)
			d.call("greet")
			d.get("p")
			d.i32(5)
			d.call("greeting")
			d.end(i64Type)
		},
		written: `log "wasm >> Hello, world!"`, outcome: plugins.OK,
	},
	{
		name: "cargo-wasi", in: "Rust",
		from:   published{"go", "github.com/tetratelabs/wazero@v1.12.0", "imports/wasi_snapshot_preview1/testdata/cargo-wasi/wasi.wasm", "5edcd1f56cab8f65a89c85d25fc245dbd166bb4ccaae6110d44700bcd1ad11b5"},
		export: "_start", written: "panicked at", outcome: plugins.Trap, // it takes an argument for granted
	},
	{
		name: "sha256", in: "AssemblyScript",
		from: published{"npm", "@chainsafe/as-sha256@0.5.0", "build/optimized.wasm", "c17416299cea4bd23375d2967a05dbd85b642d652e7ecc94567dc1af126abfd9"},
		drive: func(d *driver) {
			d.global("input")
			d.set("in")
			d.put("in", theText)
			d.i32(int32(len(theText)))
			d.call("digest")
			d.global("output")
			d.set("out")
			for i := range 4 {
				d.get("out")
				d.add(0x29, 0, uleb(8*i))
			}
			d.end(i64Type, i64Type, i64Type, i64Type)
		},
		want: sums(theText), outcome: plugins.OK,
	},
	{
		name: "hello", in: "AssemblyScript",
		from: published{"go", "github.com/tetratelabs/wazero@v1.12.0", "imports/assemblyscript/example/testdata/index.wasm", "c9163b7e5aebc8571d61e019254c8f6467cad0d61caabd2932282a14c2087c51"},
		host: map[string]hostFunc{"trace": note("trace", "iiFFFFF")},
		drive: func(d *driver) {
			d.i32(7)
			d.call("hello_world")
			d.end(i32Type)
		},
		want: []uint64{10}, written: "trace 32 2 ", outcome: plugins.OK,
	},
	{
		name: "goodbye", in: "AssemblyScript",
		from:   published{"go", "github.com/tetratelabs/wazero@v1.12.0", "imports/assemblyscript/example/testdata/index.wasm", "c9163b7e5aebc8571d61e019254c8f6467cad0d61caabd2932282a14c2087c51"},
		export: "goodbye_world", outcome: plugins.Trap, // abort, which is not there
	},
	{
		name: "vowels", in: "Go",
		from:   published{"go", "github.com/extism/go-sdk@v1.7.1", "wasm/count_vowels_std.wasm", "11a95d12352cce4d4b6d6f58459e4325f0768374a9ad8dbbb1ede61369cb8c4d"},
		host:   extism(),
		input:  "Sphinx of black quartz, judge my vow",
		export: "_start", written: "output ", outcome: plugins.OK,
	},
	{
		name: "command", in: "Go",
		from:   published{"go", "github.com/extism/go-sdk@v1.7.1", "wasm/std_command.wasm", "094145d9d08de3455f2a6129e14a3965b468e081e805e808ac3d69f8c98e1d4b"},
		host:   extism(),
		input:  "Sphinx of black quartz, judge my vow",
		export: "_start", written: "output ", outcome: plugins.OK,
	},
	{
		name: "replace", in: "Go, by TinyGo",
		from:  published{"go", "github.com/extism/go-sdk@v1.7.1", "wasm/replace.wasm", "49327bb1f6d89f42d3cd728fa48847bc4d007ea7c357b9fa0ec34eaef13c674d"},
		host:  extism(),
		input: strings.Repeat("The quick brown fox jumps over the lazy dog. ", 20),
		drive: func(d *driver) {
			d.call("_start")
			d.call("run_test")
			d.end(i32Type)
		},
		want: []uint64{0}, written: "output ", outcome: plugins.OK,
	},
	{
		name: "kernels", in: "Go, by TinyGo",
		from: published{"go", "github.com/tetratelabs/wazero@v1.12.0", "internal/integration_test/bench/testdata/case.wasm", "f2771df9d24054ca242e1081d122ca0721a80d7bb7f890004670c5c0591b67ca"},
		drive: func(d *driver) {
			d.call("_start")
			d.i32(20)
			d.call("fibonacci")
			d.i32(1000)
			d.call("string_manipulation")
			d.i32(10_000)
			d.call("reverse_array")
			d.i32(20)
			d.call("random_mat_mul")
			d.end(i32Type)
		},
		want: []uint64{6765}, outcome: plugins.OK,
	},
	{
		name: "greet", in: "Go, by TinyGo",
		from: published{"go", "github.com/tetratelabs/wazero@v1.12.0", "examples/allocation/tinygo/testdata/greet.wasm", "456b7e606990d2d85d5cc96bd22051ae23242ba3939ede6dfc1b434450447766"},
		host: map[string]hostFunc{"log": print("log", parameter(0), parameter(1))},
		drive: func(d *driver) {
			d.i32(6)
			d.call("malloc")
			d.set("p")
			d.put("p", "world")
			d.get("p")
			d.i32(5)
			d.call("greet")
			d.end()
		},
		written: `log "wasm >> Hello, world!"`, outcome: plugins.OK,
	},
	{
		name: "greet", in: "Zig",
		from: published{"go", "github.com/tetratelabs/wazero@v1.12.0", "examples/allocation/zig/testdata/greet.wasm", "e21694cd78450e8eb155854872ccf44e4cbd514848a51c7ba719652e8c8d7ad2"},
		host: map[string]hostFunc{"log": print("log", parameter(0), parameter(1))},
		drive: func(d *driver) {
			d.i32(6)
			d.call("malloc")
			d.set("p")
			d.put("p", "world")
			d.get("p")
			d.i32(5)
			d.call("greet")
			d.end()
		},
		written: `log "wasm >> Hello, world!"`, outcome: plugins.OK,
	},
	{
		name: "greet", in: "Haskell",
		from:  published{"go", "github.com/extism/go-sdk@v1.7.1", "wasm/hello_haskell.wasm", "efea4be59668d8155a72631eba0b87931c5c62749afe3ad9af72950848d17ef9"},
		host:  extism(),
		input: "John",
		drive: func(d *driver) {
			d.i32(0)
			d.i32(0)
			d.call("hs_init")
			d.call("testing")
			d.end()
		},
		written: `output "Hello, John"`, outcome: plugins.OK, clocked: true,
	},
}

var theText = strings.Repeat("Who steals my purse steals trash. ", 10)

// sums is the SHA-256 of text as four numbers, as they are in memory.
func sums(text string) (out []uint64) {
	sum := sha256.Sum256([]byte(text))
	for i := range 4 {
		out = append(out, binary.LittleEndian.Uint64(sum[8*i:]))
	}
	return out
}

// TestStrangersModules holds that modules which nobody here wrote do on the
// engine what they do without it: results, what they write and call the host
// with, and all of their memory at the end are equal, and their fuel is equal
// each time.
func TestStrangersModules(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector compiling takes ten times as long, and nothing here is concurrent")
	}
	for _, c := range strangers {
		t.Run(c.name+" in "+c.in, func(t *testing.T) {
			wasm := c.from.fetch(t)
			export := c.export
			if c.drive != nil {
				wasm, export = drive(t, wasm, c.drive), "drive"
			}
			want, imports := plainRun(t, wasm, c.host, c.input, export, c.args, sha256.Sum256(wasm))
			if want.outcome != c.outcome || !strings.Contains(want.written, c.written) {
				t.Fatalf("plain: %s with %d, wrote %q; want %s with %q", want.outcome, want.values, want.written, c.outcome, c.written)
			}
			if c.clocked {
				want.values = want.values[:len(want.values)-1]
			}
			for i, v := range c.want {
				if i >= len(want.values) || want.values[i] != v {
					t.Fatalf("plain: results %d, want %d", want.values, c.want)
				}
			}

			hosts := hostModules(c.host, imports)
			fuel := uint64(0)
			for i, o := range []plugins.Options{{HostModules: hosts}, {HostModules: hosts, SliceFuel: 997, IdleInstances: -1}} {
				m, err := newEngine(t, o).Load(context.Background(), wasm, plugins.LoadOptions{Name: c.name})
				if err != nil {
					t.Fatal(err)
				}
				for j := range 2 {
					got, used := engineRun(t, m, c.input, export, c.args)
					if n := len(got.values); c.clocked && n > 0 {
						got.values = got.values[:n-1]
					}
					if !got.equal(want) {
						t.Errorf("run %d: %+v\nplain %+v", 2*i+j, shown(got), shown(want))
					}
					if fuel == 0 {
						fuel = used
					}
					if used != fuel {
						t.Errorf("run %d: used %d units, %d before", 2*i+j, used, fuel)
					}
				}
			}
			t.Logf("%d KiB, %d units", len(wasm)>>10, fuel)
		})
	}
}

// shown is what a run shows, in words.
func shown(e ended) string {
	return fmt.Sprintf("%s with %d, wrote %.2000q", e.outcome, e.values, e.written)
}

// equal reports whether two runs show the same.
func (e ended) equal(o ended) bool {
	return e.outcome == o.outcome && slices.Equal(e.values, o.values) && e.written == o.written
}
