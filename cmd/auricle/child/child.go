// Package child runs the parts of the measurements that are processes of their
// own, of this same command: hosts, what they are compared with, and clients. It
// starts them, asks the system what they use, and ends them.
//
// A child ends when its standard input does, at the latest when the process that
// started it ends, however that ends. Whoever starts one stops or kills it; each
// of both waits for it.
package child

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// stopTimeout bounds how long a child may take to end.
const stopTimeout = 90 * time.Second

// Child is a process of this command.
type Child struct {
	In     io.WriteCloser  // its standard input
	Out    *bufio.Reader   // its standard output
	Exited <-chan struct{} // closed when it has ended

	what string
	cmd  *exec.Cmd
	said *os.File // what Out reads
	log  string   // file of its standard error
	err  error    // how it ended; set before Exited is closed
}

// Start starts command with args, the first of which says what the child is.
// What it complains of goes to a file in dir.
func Start(command []string, dir string, args ...string) (*Child, error) {
	all := slices.Concat(command, args)
	cmd := exec.Command(all[0], all[1:]...)
	exited := make(chan struct{})
	c := &Child{Exited: exited, what: args[0], cmd: cmd, log: filepath.Join(dir, args[0]+".log")}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	cmd.Stderr = log
	if c.In, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	// Not StdoutPipe, which Wait closes under whoever still reads.
	out, written, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, c.said, c.Out = written, out, bufio.NewReader(out)
	err = cmd.Start()
	written.Close() // the child has its own
	if err != nil {
		out.Close() // nothing will come
		return nil, err
	}
	go func() { // ends with the process; Stop and Kill wait for it
		defer close(exited)
		c.err = cmd.Wait()
	}()
	return c, nil
}

// StartServer starts a child that says on its standard output, in a line, the
// address that it serves on, and returns that.
func StartServer(command []string, dir string, args ...string) (c *Child, address string, err error) {
	if c, err = Start(command, dir, args...); err != nil {
		return nil, "", err
	}
	if address, err = c.Out.ReadString('\n'); err != nil {
		return nil, "", errors.Join(fmt.Errorf("waiting for the %s to serve: %w", args[0], err), c.Stop())
	}
	return c, strings.TrimSpace(address), nil
}

// Usage returns what the system says that the child uses.
func (c *Child) Usage() (Usage, error) {
	u, err := UsageOf(c.cmd.Process.Pid)
	if err != nil {
		err = errors.Join(err, c.Died())
	}
	return u, err
}

// Stop has the child end and waits for it. It returns how it ended, if not well.
func (c *Child) Stop() error {
	select {
	case <-c.Exited:
		return c.Died()
	default:
	}
	if err := c.In.Close(); err != nil {
		return err
	}
	late := time.AfterFunc(stopTimeout, c.Interrupt)
	defer late.Stop()
	<-c.Exited
	return errors.Join(c.Died(), c.said.Close())
}

// Kill ends the child at once and waits for it. It returns how it ended, if it
// had by itself, and not well.
func (c *Child) Kill() error {
	if err := c.Died(); err != nil {
		return err
	}
	c.Interrupt()
	<-c.Exited
	return c.said.Close()
}

// Interrupt ends the child at once, and waits for nothing.
func (c *Child) Interrupt() { _ = c.cmd.Process.Kill() } // if it has ended by now, the better

// Died says how the child ended, if it did and not well.
func (c *Child) Died() error {
	select {
	case <-c.Exited:
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
