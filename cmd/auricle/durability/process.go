package durability

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// startTimeout bounds how long a host may take until it serves.
const startTimeout = 60 * time.Second

// process is a host that runs as a process of its own.
type process struct {
	address string
	cmd     *exec.Cmd
	began   time.Time
	serving chan struct{} // closed once it says that it serves
	took    time.Duration // until then; set before serving is closed
	exited  chan struct{} // closed when it has ended
	err     error         // how; set before exited is closed
	tail    []string      // the last lines of its log; read after exited
}

// startProcess starts a host with a configuration that listens on address. It
// does not wait until the host serves.
func startProcess(command []string, config, address string, args ...string) (*process, error) {
	args = append(append(append([]string{}, command[1:]...), "serve", "-config", config), args...)
	p := &process{address: address, cmd: exec.Command(command[0], args...), serving: make(chan struct{}), exited: make(chan struct{})}
	said, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.follow(said) // ends with the process; wait waits for it
	return p, nil
}

// follow reads the host's log until it ends.
func (p *process) follow(said io.Reader) {
	defer close(p.exited)
	const keep = 20
	lines := bufio.NewScanner(said)
	lines.Buffer(nil, 1<<20)
	up := false
	for lines.Scan() {
		if len(p.tail) == keep {
			p.tail = p.tail[1:]
		}
		p.tail = append(p.tail, lines.Text())
		var line struct {
			Message string `json:"@message"`
		}
		if !up && json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "serving" {
			up, p.took = true, time.Since(p.began)
			close(p.serving)
		}
	}
	_, _ = io.Copy(io.Discard, said) // of a line that was too long
	p.err = p.cmd.Wait()
}

// ready waits until the host serves.
func (p *process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case <-p.serving:
		return nil
	case <-p.exited:
		return fmt.Errorf("the host ended before it served: %w; its last words:\n%s", p.err, lastWords(p.tail))
	case <-ctx.Done():
		return fmt.Errorf("waiting for the host to serve: %w", ctx.Err())
	}
}

func lastWords(lines []string) string {
	var b bytes.Buffer
	for _, l := range lines {
		fmt.Fprintf(&b, "  %s\n", l)
	}
	return b.String()
}

// kill ends the host at once, as a power cut or the kernel would.
func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.exited
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("the host had ended by itself: %w; its last words:\n%s", p.err, lastWords(p.tail))
	}
	return err
}

// stop has the host drain, and waits for it.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-p.exited
	if p.err != nil {
		return fmt.Errorf("stopping the host: %w; its last words:\n%s", p.err, lastWords(p.tail))
	}
	return nil
}

// get reads a page of the host's HTTP API into out.
func get(ctx context.Context, address, path string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() // read to its end below
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %s", path, res.Status, body)
	}
	return json.Unmarshal(body, out)
}

// until waits until the host says that it is ready, or that it is not.
func (p *process) until(ctx context.Context, ready bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			res.Body.Close() // its status is all that matters
			if (res.StatusCode == http.StatusOK) == ready {
				return nil
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for ready %v: %w", ready, ctx.Err())
		}
		pause(ctx, 10*time.Millisecond)
	}
}
