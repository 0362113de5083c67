// Package app is keeper: it does to its storage what it hears: "put key value", "fill key bytes", "get key", "add
// key n", "delete key", "list prefix after", and "fail" or "panic" afterwards.
package app

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

// App is the app.
var App = sdk.App{
	Name: "keeper", Version: "1.0.0",
	Wants:        []sdk.Want{sdk.Storage("to remember what it is told")},
	OnTranscript: onTranscript,
}

func onTranscript(ctx *sdk.Context, e *event.Transcript) error {
	s := ctx.Storage()
	var said []string
	for _, seg := range e.Segments {
		for order := range strings.SplitSeq(seg.Text, "; ") {
			words := append(strings.Fields(order), "", "")
			answer, err := "", error(nil)
			switch words[0] {
			case "put":
				err = s.Put(words[1], []byte(words[2]))
			case "fill":
				n, _ := strconv.Atoi(words[2])
				err = s.Put(words[1], make([]byte, n))
			case "get":
				var value []byte
				value, err = s.Get(words[1])
				answer = "=" + string(value)
			case "add":
				n, _ := strconv.ParseInt(words[2], 10, 64)
				n, err = s.Add(words[1], n)
				answer = fmt.Sprint(n)
			case "delete":
				err = s.Delete(words[1])
			case "list":
				var keys []event.StoredKey
				var more bool
				keys, more, err = s.List(words[1], words[2], 2)
				answer = fmt.Sprint(keys, more)
			case "fail":
				return errors.New("as it was told")
			case "panic":
				panic("as it was told")
			}
			for name, is := range map[string]error{"not found": sdk.ErrNotFound, "quota": sdk.ErrQuota, "bad key": sdk.ErrBadKey, "no number": sdk.ErrNotNumber, "not granted": sdk.ErrNotGranted} {
				if errors.Is(err, is) {
					answer, err = name, nil
				}
			}
			if err != nil {
				return err
			}
			if answer != "" {
				said = append(said, answer)
			}
		}
	}
	return ctx.Emit(strings.Join(said, ", "))
}
