package apps

import (
	"fmt"

	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// What a module imports and exports.
const (
	hostModule     = "auricle_v1"
	exportManifest = "auricle_v1_manifest"
	exportHandle   = "auricle_v1_handle"

	importEmit = "emit"
	importCall = "call"
)

// answerFuel is what a byte behind an answer costs, besides reading it.
const answerFuel = 1

// levels are what log's first parameter counts through.
var levels = []string{"trace", "debug", "info", "warn", "error"}

// HostModule returns what apps may import as auricle_v1; give it to
// plugins.New.
//
//	event_read(ptr, len) i32      copies the event, up to len bytes, and returns its full size
//	settings_read(ptr, len) i32   the settings, likewise: a JSON object
//	result_read(ptr, len) i32     the answer to the last call, likewise
//	manifest_write(ptr, len)      within auricle_v1_manifest, once, at most 256 KiB
//	error_write(ptr, len)         the app's error text; the last one wins; cut at 8 KiB
//	log(level, ptr, len)          level 0 trace, 1 debug, 2 info, 3 warn, 4 error; cut at 8 KiB an invocation
//	emit(ptr, len) i32            JSON for the user, at most 64 KiB; returns 0
//	call(ptr, len) i32            asks the host to act, by an event.Request of at most 64 KiB and up to 1 MiB of
//	                              bytes behind it; returns the size of the answer, which result_read gives: an
//	                              event.Response and the bytes behind it
//
// A call at the wrong time, or with more than is allowed, ends the invocation
// as app_error; a pointer outside of the memory ends it as trap.
func HostModule() plugins.HostModule {
	i32s := func(n int) []plugins.ValueType {
		out := make([]plugins.ValueType, n)
		for i := range out {
			out[i] = plugins.I32
		}
		return out
	}
	m := plugins.HostModule{Name: hostModule}
	add := func(name string, params, results int, when moment, f func(c *plugins.Call, g *guest, stack []uint64) error) {
		m.Functions = append(m.Functions, plugins.HostFunction{
			Name: name, Params: i32s(params), Results: i32s(results),
			Func: func(c *plugins.Call, stack []uint64) error {
				g, err := present(c, name, when)
				if err != nil {
					return err
				}
				return f(c, g, stack)
			},
		})
	}
	reader := func(name string, from func(g *guest) []byte) {
		add(name, 2, 1, handling, func(c *plugins.Call, g *guest, stack []uint64) error {
			b := from(g)
			if err := c.Write(uint32(stack[0]), b[:min(len(b), int(uint32(stack[1])))]); err != nil {
				return err
			}
			stack[0] = uint64(uint32(len(b)))
			return nil
		})
	}
	reader("event_read", func(g *guest) []byte { return g.payload })
	reader("settings_read", func(g *guest) []byte { return g.app.Settings })
	reader("result_read", func(g *guest) []byte { return g.result })
	add("manifest_write", 2, 0, describing, manifestWrite)
	add("error_write", 2, 0, "", errorWrite)
	add("log", 3, 0, "", log)
	add(importEmit, 2, 1, handling, emit)
	add(importCall, 2, 1, handling, call)
	return m
}

// present returns the invocation that a host function was called in; an error
// if this is not the time for it. Empty when is any time but initialisation.
func present(c *plugins.Call, name string, when moment) (*guest, error) {
	g, ok := c.State().(*guest)
	switch {
	case !ok:
		return nil, fail("%s.%s was called while initialising; call it within %s or %s", hostModule, name, exportManifest, exportHandle)
	case when != "" && g.moment != when:
		return nil, fail("%s.%s was called within %s; it belongs within %s", hostModule, name, g.moment, when)
	}
	return g, nil
}

func fail(format string, args ...any) error {
	return plugins.Fail(plugins.AppError, fmt.Errorf(format, args...))
}

// readJSON returns the n bytes at ptr, a view, having charged for decoding
// them. More than most end the invocation.
func readJSON(c *plugins.Call, what string, stack []uint64, most int) ([]byte, error) {
	ptr, n := uint32(stack[0]), uint32(stack[1])
	if uint64(n) > uint64(most) {
		return nil, fail("%s of %d bytes, at most %d are taken", what, n, most)
	}
	b, err := c.Read(ptr, n)
	if err != nil {
		return nil, err
	}
	return b, c.Charge(uint64(n) * jsonFuel)
}

func manifestWrite(c *plugins.Call, g *guest, stack []uint64) error {
	if g.manifest != nil {
		return fail("manifest_write was called a second time")
	}
	b, err := readJSON(c, "a manifest", stack, maxManifestBytes)
	if err != nil {
		return err
	}
	g.manifest = append(make([]byte, 0, len(b)), b...)
	return nil
}

func errorWrite(c *plugins.Call, g *guest, stack []uint64) error {
	b, err := c.Read(uint32(stack[0]), uint32(stack[1]))
	if err != nil {
		return err
	}
	text := printable(clip(string(b[:min(len(b), maxErrorBytes+4)]), maxErrorBytes))
	if more := len(b) - maxErrorBytes; more > 0 {
		text += fmt.Sprintf(" (cut, %d bytes more)", more)
	}
	g.err = text
	return nil
}

func log(c *plugins.Call, g *guest, stack []uint64) error {
	level := uint32(stack[0])
	if uint64(level) >= uint64(len(levels)) {
		return fail("log was called with level %d; 0 is trace, %d is error", int32(level), len(levels)-1)
	}
	b, err := c.Read(uint32(stack[1]), uint32(stack[2]))
	if err != nil {
		return err
	}
	most := min(len(b), maxLogBytes+1) // the book cuts what is more than maxLogBytes
	g.log.add(levels[level], string(b[:most]))
	g.log.cut += len(b) - most
	return nil
}

func emit(c *plugins.Call, g *guest, stack []uint64) error {
	b, err := readJSON(c, "an output", stack, maxEffectBytes)
	if err != nil {
		return err
	}
	data, err := compactStrict(b)
	if err != nil {
		return fail("an output is not the JSON that emit takes: %w", err)
	}
	if err := g.add(event.OutputEmitted, data); err != nil {
		return plugins.Fail(plugins.AppError, err)
	}
	stack[0] = 0
	return nil
}

func call(c *plugins.Call, g *guest, stack []uint64) error {
	ptr, n := uint32(stack[0]), uint32(stack[1])
	if n > event.MaxRequestBytes+event.MaxBodyBytes {
		return fail("a request of %d bytes, at most %d are taken, and %d behind it", n, event.MaxRequestBytes, event.MaxBodyBytes)
	}
	b, err := c.Read(ptr, n)
	if err != nil {
		return err
	}
	head, rest := splitJSON(b)
	if len(head) > event.MaxRequestBytes {
		return fail("a request of %d bytes, at most %d are taken, and %d behind it", len(head), event.MaxRequestBytes, event.MaxBodyBytes)
	}
	if len(rest) > event.MaxBodyBytes {
		return fail("%d bytes behind a request, at most %d are taken", len(rest), event.MaxBodyBytes)
	}
	if err := c.Charge(uint64(len(head)) * jsonFuel); err != nil {
		return err
	}
	if err := g.call(c, head, rest); err != nil {
		return err
	}
	// What is behind the answer was fetched, whether it is read or not.
	if err := c.Charge(uint64(g.behind) * answerFuel); err != nil {
		return err
	}
	stack[0] = uint64(len(g.result))
	return nil
}
