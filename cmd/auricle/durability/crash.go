package durability

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/child"
	"github.com/auricle-dev/auricle/cmd/auricle/figures"
)

// Fault is what happens to the host again and again.
type Fault string

// The faults.
const (
	FaultKill  Fault = "kill"  // the process is killed with SIGKILL
	FaultPower Fault = "power" // and the file system forgets what was not synced
	FaultFull  Fault = "full"  // the file system of the store fills up, and is emptied again; then the process is killed
)

// CrashOptions say how to break a host.
type CrashOptions struct {
	Options
	Kills   int // how often; 0 means 20
	Clients int // that talk meanwhile; 0 means 32
	Fault   Fault
}

// CrashReport is what became of what clients were promised. Its JSON form is
// that of `auricle bench crash -json`.
type CrashReport struct {
	Machine figures.Machine `json:"machine"`
	Fault   Fault           `json:"fault"`
	Clients int             `json:"clients"`
	Kills   int             `json:"kills"`
	Promises
	RestartP50Millis float64 `json:"restart_p50_ms"` // from the start of the process until it serves
	RestartP99Millis float64 `json:"restart_p99_ms"`
	ResumeP99Millis  float64 `json:"resume_p99_ms"`    // from the end of a stream until its session went on
	FullSeconds      float64 `json:"full_s,omitempty"` // for which the store was full
}

// Crash has clients talk to a host that is broken again and again, then lets
// them finish and counts.
func Crash(ctx context.Context, o CrashOptions) (_ CrashReport, err error) {
	if o.Kills == 0 {
		o.Kills = 20
	}
	if o.Clients == 0 {
		o.Clients = 32
	}
	if o.Fault == "" {
		o.Fault = FaultKill
	}
	r := CrashReport{Machine: figures.ThisMachine(), Fault: o.Fault, Clients: o.Clients, Promises: noPromises()}
	dir, err := os.MkdirTemp(o.Dir, "crash-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	data := filepath.Join(dir, "data")
	disk, err := newDisk(o.Fault, dir, data)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, disk.close()) }()
	address, err := child.FreeAddress()
	if err != nil {
		return r, err
	}
	config, err := writeConfig(dir, address, fmt.Sprintf("data_dir = %q", data))
	if err != nil {
		return r, err
	}

	talking, enough := context.WithCancel(ctx)
	defer enough()
	giveUp, cancel := context.WithCancel(ctx)
	defer cancel()
	var talkers []*talker
	var wg sync.WaitGroup
	failed := make([]error, o.Clients)
	for i := range o.Clients {
		t := newTalker(fmt.Sprintf("talker-%d", i), 20*time.Millisecond, 10+i%20, func() string { return address })
		talkers = append(talkers, t)
		wg.Go(func() { failed[i] = t.talk(talking, giveUp) }) // ends with giveUp; waited for below
	}
	defer wg.Wait()
	defer cancel()

	var restarts []time.Duration
	for kill := range o.Kills {
		p, err := startProcess(o.Command, config, address)
		if err != nil {
			return r, err
		}
		// Now and then before it serves; mostly within a second of work.
		after := time.Duration(rand.Int64N(int64(time.Second)))
		if kill%8 == 7 {
			pause(ctx, after/8)
		} else {
			if err := p.ready(ctx); err != nil {
				return r, errors.Join(err, p.kill())
			}
			restarts = append(restarts, p.took)
			pause(ctx, after)
		}
		if o.Fault == FaultFull {
			full, err := disk.fillAndEmpty(ctx, p)
			r.FullSeconds += full.Seconds()
			if err != nil {
				err = errors.Join(err, p.kill())
				return r, fmt.Errorf("%w; the host's last words:\n%s", err, lastWords(p.tail))
			}
		}
		if err := disk.forget(); err != nil {
			return r, errors.Join(err, p.kill())
		}
		if err := p.kill(); err != nil {
			return r, err
		}
		if err := disk.back(); err != nil {
			return r, err
		}
		r.Kills++
		o.say("killed %d of %d times", r.Kills, o.Kills)
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
	}

	p, err := startProcess(o.Command, config, address)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.ready(ctx); err != nil {
		return r, err
	}
	restarts = append(restarts, p.took)
	pause(ctx, time.Second) // all are back and talk
	enough()
	late := time.AfterFunc(2*time.Minute, cancel)
	defer late.Stop()
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return r, err
	}
	o.say("all clients are done; counting")
	resumed, err := r.count(ctx, []string{address}, talkers)
	if err != nil {
		return r, err
	}
	r.ResumeP99Millis = figures.Percentile(resumed, 99)
	r.RestartP50Millis, r.RestartP99Millis = figures.Percentile(restarts, 50), figures.Percentile(restarts, 99)
	return r, nil
}
