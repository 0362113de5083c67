package audio

import (
	"context"
	_ "embed"
	"fmt"
	"sync"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

//go:generate make -C opus

// opusWasm is the decoder of libopus 1.3.1 (opus/Makefile, opus/COPYING).
//
//go:embed opus/opus.wasm
var opusWasm []byte

// What the decoder may use. The dearest of 40,000 random packets of 120 ms and
// any length took a sixth of the fuel, and a third of the memory.
const (
	opusFuel        = 200_000_000
	opusWall        = 5 * time.Second
	opusMemoryBytes = 512 << 10
)

// opusModule runs the decoder of libopus in an engine of its own, so that it
// neither waits for an app nor shares anything with one. It is loaded when it
// is first needed.
type opusModule struct {
	mu     sync.Mutex // guards what follows; held while the module is compiled, for which all who need it wait
	engine *plugins.Engine
	module *plugins.Module
	closed bool
}

// session returns the state of a new decoder.
func (m *opusModule) session() (*plugins.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	if m.module == nil {
		if err := m.load(); err != nil {
			return nil, fmt.Errorf("loading the Opus decoder: %w", err)
		}
	}
	return m.module.NewSession()
}

// load compiles the module. mu is held.
func (m *opusModule) load() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ptrLen := []plugins.ValueType{plugins.I32, plugins.I32}
	engine, err := plugins.New(ctx, plugins.Options{
		IdleInstances: 16,
		HostModules: []plugins.HostModule{{Name: "auricle_opus", Functions: []plugins.HostFunction{
			{Name: "packet_read", Params: ptrLen, Func: packetRead},
			{Name: "pcm_write", Params: ptrLen, Func: pcmWrite},
		}}},
	})
	if err != nil {
		return err
	}
	module, err := engine.Load(ctx, opusWasm, plugins.LoadOptions{Name: "opus", MemoryBytes: opusMemoryBytes})
	if err != nil {
		_ = engine.Close(ctx) // why there is no module is what matters
		return err
	}
	m.engine, m.module = engine, module
	return nil
}

// close ends what runs and gives the engine back.
func (m *opusModule) close(ctx context.Context) error {
	m.mu.Lock()
	engine := m.engine
	m.closed, m.engine, m.module = true, nil, nil
	m.mu.Unlock()
	if engine == nil {
		return nil
	}
	return engine.Close(ctx)
}

// opusDecoder is one stream's decoder. Its state is in the session.
type opusDecoder struct {
	session *plugins.Session
	call    plugins.Invocation
	args    [2]uint64
	packet  []byte // what is being decoded
	dst     []byte // and where to
}

func newOpusDecoder(s *plugins.Session, rate int) *opusDecoder {
	d := &opusDecoder{session: s}
	d.args[0] = uint64(rate)
	d.call = plugins.Invocation{Export: "decode", Args: d.args[:], State: d, Limits: plugins.Limits{Fuel: opusFuel, Wall: opusWall}}
	return d
}

// appendMono appends what packet, which opusSamples has passed, is.
func (d *opusDecoder) appendMono(dst, packet []byte) ([]byte, error) {
	d.packet, d.dst = packet, dst
	d.args[1] = uint64(len(packet))
	r, err := d.session.Run(context.Background(), d.call)
	out := d.dst
	d.packet, d.dst = nil, nil
	switch {
	case err != nil:
		return dst, fmt.Errorf("running the Opus decoder: %w", err)
	case r.Outcome == plugins.DeadlineExceeded: // the host's own lack of time
		return dst, fmt.Errorf("running the Opus decoder: %w", r.Err)
	case r.Outcome != plugins.OK:
		return dst, badPacket("the decoder gave up on it (%v)", r.Outcome)
	case int32(r.Values[0]) < 0:
		return dst, badPacket("libopus' error %d", int32(r.Values[0]))
	}
	return out, nil
}

func packetRead(c *plugins.Call, stack []uint64) error {
	d := c.State().(*opusDecoder)
	return c.Write(uint32(stack[0]), d.packet[:min(uint64(len(d.packet)), stack[1])])
}

func pcmWrite(c *plugins.Call, stack []uint64) error {
	d := c.State().(*opusDecoder)
	pcm, err := c.Read(uint32(stack[0]), uint32(stack[1]))
	d.dst = append(d.dst, pcm...)
	return err
}
