package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/auricle-dev/auricle/cmd/auricle/child"
)

// What a child process is to be, besides a host (child.PartHost). It is the
// argument after Options.Command.
const (
	PartFloor = "floor" // is Floor
	PartLoad  = "load"  // is Generate
)

// start starts a part, which ends with the bench at the latest.
func (b *bench) start(part string) (*child.Child, error) {
	c, err := child.Start(b.o.Command, b.dir, part)
	if err == nil {
		b.children = append(b.children, c)
	}
	return c, err
}

// server is a child that streams connect to.
type server struct {
	*child.Child
	address string      // where clients connect
	host    *child.Host // nil for the floor
}

// startFloor starts the floor.
func (b *bench) startFloor() (*server, error) {
	c, address, err := child.StartServer(b.o.Command, b.dir, PartFloor)
	if err != nil {
		return nil, err
	}
	b.children = append(b.children, c)
	return &server{Child: c, address: address}, nil
}

// startHost starts a host with a store of its own and waits until it serves.
func (b *bench) startHost(ctx context.Context, extra string) (*server, error) {
	h, err := child.StartHost(ctx, b.o.Command, b.dir, extra)
	if err != nil {
		return nil, err
	}
	b.children = append(b.children, h.Child)
	return &server{Child: h.Child, address: h.Address, host: h}, nil
}

// loader is the generator's process.
type loader struct {
	*child.Child
	orders *json.Encoder
}

func (b *bench) startLoad() (*loader, error) {
	c, err := b.start(PartLoad)
	if err != nil {
		return nil, err
	}
	return &loader{Child: c, orders: json.NewEncoder(c.In)}, nil
}

// do gives an order and waits until it is done. When ctx ends first, the
// generator is stopped.
func (l *loader) do(ctx context.Context, o order) (answer, error) {
	stop := context.AfterFunc(ctx, l.Interrupt) // it ends by itself otherwise
	defer stop()
	var a answer
	if err := l.orders.Encode(o); err != nil {
		return a, errors.Join(ctx.Err(), err)
	}
	line, err := l.Out.ReadBytes('\n')
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
