package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/auricle-dev/auricle/sdk/client"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// streamPrinter shows what comes back from a host as people like to read it,
// one message at a time, and on a terminal how far the playing is. Safe for
// concurrent use: messages and progress come from different goroutines.
type streamPrinter struct {
	style style

	mu       sync.Mutex // guards everything below
	out      errWriter
	bar      *progressbar.ProgressBar // nil when standard error is no terminal
	position time.Duration            // in the recording
	appWidth int
}

// newStreamPrinter prints to out, and draws a bar on bars if that is a terminal.
// length is how long the recording is.
func newStreamPrinter(out, bars io.Writer, length time.Duration) *streamPrinter {
	p := &streamPrinter{
		out:      errWriter{w: out},
		style:    style(isTerminal(out) && os.Getenv("NO_COLOR") == ""),
		appWidth: 8,
	}
	if isTerminal(bars) && length > 0 {
		p.bar = progressbar.NewOptions64(length.Milliseconds(),
			progressbar.OptionSetWriter(bars),
			progressbar.OptionSetWidth(30),
			progressbar.OptionSetDescription(fmt.Sprintf("playing %s", clock(length))),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionClearOnFinish(),
		)
	}
	return p
}

// isTerminal reports whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Sent moves the bar.
func (p *streamPrinter) Sent(position time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.position = position
	if p.bar != nil && !p.bar.IsFinished() {
		// A bar that can't be drawn is no reason to stop the stream.
		_ = p.bar.Set64(position.Milliseconds())
	}
}

// Message prints a message of the host. Acknowledgements are not shown.
func (p *streamPrinter) Message(m client.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if text := p.text(m); text != "" {
		p.line(text)
	}
}

// Retry tells that the stream was lost.
func (p *streamPrinter) Retry(r client.Retry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(fmt.Sprintf("%7s  ", clock(p.position)) + p.style.warn(retryText(r)))
}

// retryText says why there is no stream, and for how long.
func retryText(r client.Retry) string {
	return fmt.Sprintf("%v; connecting again in %v", hostError(r.Err), r.In.Round(10*time.Millisecond))
}

// line prints one line, with the bar out of its way.
func (p *streamPrinter) line(text string) {
	drawn := p.bar != nil && p.bar.IsStarted() && !p.bar.IsFinished()
	if drawn {
		_ = p.bar.Clear()
	}
	p.out.printf("%s\n", text)
	if drawn {
		_ = p.bar.RenderBlank()
	}
}

// text is what a message looks like.
func (p *streamPrinter) text(m client.Message) string {
	at := fmt.Sprintf("%7s  ", clock(p.position))
	switch m := m.Message.(type) {
	case *wire.Ack:
		return ""
	case *wire.Ready:
		return fmt.Sprintf("session %s; audio is %s; apps: %s", printable(m.Session), printable(m.Audio), p.apps(m.Apps))
	case *wire.Apps:
		return at + fmt.Sprintf("audio is %s; apps: %s", printable(m.Audio), p.apps(m.Apps))
	case *wire.Output:
		head := at + fmt.Sprintf("%-*s  ", p.appWidth, printable(m.App))
		text := outputText(m.Kind, m.Data)
		if m.Kind == event.OutputNotification {
			return head + p.style.bold("* "+text)
		}
		return head + indented(text, len(head))
	case *wire.Gap:
		what := counted(m.Segments, "segment")
		if m.Bytes > 0 {
			what = megabytes(m.Bytes) + " of audio"
		}
		return at + p.style.warn(fmt.Sprintf("gap: %s missed %s (%s)", printable(m.App), what, printable(m.Reason)))
	case *wire.Error:
		kind := "error"
		if m.Fatal {
			kind = "fatal error"
		}
		return at + p.style.bad(fmt.Sprintf("%s: %s (%s)", kind, printable(m.Message), printable(m.Code)))
	case *wire.Closing:
		return at + p.style.warn("the host is closing the stream: "+printable(m.Message))
	case *wire.Conversation:
		text := at + fmt.Sprintf("conversation %s is %s", printable(m.ID), printable(string(m.State)))
		switch {
		case m.Conversation != nil:
			text += ": " + conversationSummary(m.Conversation)
		case m.Omitted:
			text += "; it was not sent, read it with GET /v1/conversations/" + printable(m.ID)
		}
		return text
	}
	return at + printable(string(m.Raw)) // of a newer host
}

// apps lists the apps that a user has.
func (p *streamPrinter) apps(as []wire.App) string {
	names := make([]string, len(as))
	for i, a := range as {
		names[i] = printable(a.Name)
		p.appWidth = max(p.appWidth, min(len(names[i]), 24))
	}
	if len(names) == 0 {
		return "none for this user"
	}
	return strings.Join(names, ", ")
}

// conversationSummary says in a line what is in a completed conversation.
func conversationSummary(c *event.Conversation) string {
	var speakers []string
	for _, s := range c.Segments {
		if name := printable(s.Speaker); name != "" && !slices.Contains(speakers, name) {
			speakers = append(speakers, name)
		}
	}
	parts := []string{counted(len(c.Segments), "segment")}
	if len(speakers) > 0 {
		parts = append(parts, counted(len(speakers), "speaker")+" ("+strings.Join(speakers, ", ")+")")
	}
	if c.AudioMillis > 0 {
		parts = append(parts, clock(time.Duration(c.AudioMillis)*time.Millisecond)+" of audio")
	}
	return strings.Join(parts, ", ") + "; reason: " + printable(string(c.Reason))
}

// Finish removes the bar and returns the first error of printing.
func (p *streamPrinter) Finish() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil && !p.bar.IsFinished() {
		_ = p.bar.Finish()
	}
	return p.out.err
}
