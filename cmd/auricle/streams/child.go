package streams

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// What a child process is to be. It is the argument after Options.Command.
const (
	PartHost  = "host"  // serves the configuration that the next argument names, until its standard input ends
	PartFloor = "floor" // is Floor
	PartLoad  = "load"  // is Generate
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 90 * time.Second
)

// child is a process of this command, which ends when its standard input does:
// at the latest when this process ends, however it ends.
type child struct {
	what   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	said   *os.File // what out reads
	out    *bufio.Reader
	log    string
	exited chan struct{} // closed when it has ended
	err    error         // how; set before exited is closed
}

func (b *bench) start(part string, args ...string) (*child, error) {
	cmd := exec.Command(b.o.Command[0], append(append(append([]string{}, b.o.Command[1:]...), part), args...)...)
	c := &child{what: part, cmd: cmd, exited: make(chan struct{}), log: filepath.Join(b.dir, part+".log")}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	cmd.Stderr = log
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	// Not StdoutPipe, which Wait closes under whoever still reads.
	out, written, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, c.said, c.out = written, out, bufio.NewReader(out)
	err = cmd.Start()
	written.Close() // the child has its own
	if err != nil {
		out.Close() // nothing will come
		return nil, err
	}
	go func() { // ends with the process; stop waits for it
		defer close(c.exited)
		c.err = cmd.Wait()
	}()
	b.children = append(b.children, c)
	return c, nil
}

// stop has the child end and waits for it.
func (c *child) stop() error {
	select {
	case <-c.exited:
		return c.died()
	default:
	}
	if err := c.in.Close(); err != nil {
		return err
	}
	late := time.AfterFunc(stopTimeout, func() { _ = c.cmd.Process.Kill() }) // if it has ended by now, the better
	defer late.Stop()
	<-c.exited
	return errors.Join(c.died(), c.said.Close())
}

// died says how the child ended, if it did and not well.
func (c *child) died() error {
	select {
	case <-c.exited:
	default:
		return nil
	}
	if c.err == nil {
		return nil
	}
	log, err := os.ReadFile(c.log)
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return errors.Join(fmt.Errorf("the %s ended: %w; its last words:\n%s", c.what, c.err, strings.Join(lines[max(0, len(lines)-10):], "\n")), err)
}

// server is a child that streams connect to.
type server struct {
	*child
	address string // where clients connect
	metrics string // URL of its metrics; "" for the floor
}

// startFloor starts the floor.
func (b *bench) startFloor() (*server, error) {
	c, err := b.start(PartFloor)
	if err != nil {
		return nil, err
	}
	address, err := c.out.ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for the floor to serve: %w", err), c.stop())
	}
	return &server{child: c, address: strings.TrimSpace(address)}, nil
}

// hostConfig has no limit to how fast audio comes: an hour of it does at once.
const hostConfig = `listen   = %q
log_json = true

operators {
  listen = %q
}

stream {
  audio_rate = 0
}
%s
`

// startHost starts a host with a store of its own and waits until it serves.
func (b *bench) startHost(ctx context.Context, extra string) (*server, error) {
	home, err := os.MkdirTemp(b.dir, "host-")
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	operators, err := freeAddress()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(home, "config.hcl")
	if err := os.WriteFile(config, fmt.Appendf(nil, hostConfig, address, operators, extra), 0o600); err != nil {
		return nil, err
	}
	c, err := b.start(PartHost, config)
	if err != nil {
		return nil, err
	}
	s := &server{child: c, address: address, metrics: "http://" + operators + "/metrics"}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if _, err = fetch(ctx, "http://"+address+"/readyz"); err == nil {
			return s, nil
		}
		select {
		case <-c.exited:
			return nil, c.died()
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for the host to serve: %w", err), c.stop())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// freeAddress returns an address of this machine on which nobody listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// client keeps no connection open: it would count as one of the host's.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func fetch(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close() // read to its end
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", url, res.Status)
	}
	return string(body), err
}

// loader is the generator's process.
type loader struct {
	*child
	orders *json.Encoder
}

func (b *bench) startLoad() (*loader, error) {
	c, err := b.start(PartLoad)
	if err != nil {
		return nil, err
	}
	return &loader{child: c, orders: json.NewEncoder(c.in)}, nil
}

// do gives an order and waits until it is done. When ctx ends first, the
// generator is stopped.
func (l *loader) do(ctx context.Context, o order) (answer, error) {
	stop := context.AfterFunc(ctx, func() { _ = l.cmd.Process.Kill() }) // it ends by itself otherwise
	defer stop()
	var a answer
	if err := l.orders.Encode(o); err != nil {
		return a, errors.Join(ctx.Err(), err)
	}
	line, err := l.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil {
		return a, errors.Join(ctx.Err(), fmt.Errorf("the load generator does not answer %s: %w", o.Do, err))
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s of %s: %s", o.Do, o.Group, a.Error)
	}
	return a, nil
}
