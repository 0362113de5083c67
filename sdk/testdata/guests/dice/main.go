// Dice is an app that makes something of all that its host answers, for the
// tests of replaying: clocks, sleeps, random numbers, the order of a map,
// goroutines, and whether it may notify. The first segment's text may tell it
// to end otherwise than well.
package main

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

func init() {
	sdk.Register(sdk.App{
		Name: "dice", Version: "0.1.0",
		Wants:        []sdk.Want{sdk.Notify("to tell you what was thrown")},
		Limits:       sdk.Limits{Wall: time.Second},
		OnTranscript: throw,
	})
}

func throw(ctx *sdk.Context, e *event.Transcript) error {
	ctx.Infof("at %s", time.Now().Format(time.RFC3339Nano))
	thrown := map[string]uint64{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			n := random()
			time.Sleep(time.Duration(n%2000) * time.Microsecond)
			mu.Lock()
			defer mu.Unlock()
			thrown[fmt.Sprint(i)] = n
		})
	}
	wg.Wait()
	for name, n := range thrown {
		ctx.Infof("die %s: %d", name, 1+n%6)
	}
	for range 2 {
		if err := ctx.Notify(fmt.Sprintf("Thrown: %d", random())); err != nil {
			ctx.Warnf("no notification: %v", err)
		}
	}
	switch e.Segments[0].Text {
	case "error":
		return errors.New("on order")
	case "late":
		time.Sleep(time.Hour)
	case "fill":
		for all := [][]byte(nil); ; {
			all = append(all, make([]byte, 1<<20))
		}
	}
	return ctx.Emit(thrown)
}

func random() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

func main() {}
