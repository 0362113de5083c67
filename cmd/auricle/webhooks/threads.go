package webhooks

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// The timeouts of the old design, before they were shortened to 5 and 10 s.
const (
	oldLiveTimeout      = 10 * time.Second
	oldCompletedTimeout = 30 * time.Second
)

// Threads calls webhooks as the old design did, that of Omi's backend
// (backend/utils/app_integrations.py, before its issue 4825 was fixed): for each
// event a thread for each app, all started at once and all waited for before the
// stream's next event, with a connection of its own for each call, as
// requests.post makes one. A goroutine that is locked to its thread stands for a
// thread of Python's; it reads and writes its connection itself.
//
// It is kinder than that backend was: only the stream itself waits, where the
// backend waited on the event loop that all streams of a process share; segments
// are not collected for a second first; nothing is stored; and it is compiled.
//
// Clients stream to it as to a host, as far as a transcript needs. Apps are the
// URLs of the webhooks, the last one not for users who only warm up. It says its
// address on out, and serves until in ends.
func Threads(in io.Reader, out io.Writer, apps []string) error {
	o := &oldDesign{}
	for _, base := range apps {
		u, err := url.Parse(base)
		if err != nil {
			return err
		}
		o.apps = append(o.apps, oldApp{name: u.Path[strings.LastIndexByte(u.Path, '/')+1:], url: u})
	}
	if len(o.apps) == 0 {
		return errors.New("it needs the apps' URLs")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/stream", o.stream)
	err := serve(mux, in, out)
	o.streams.Wait()
	return err
}

type oldDesign struct {
	apps    []oldApp
	streams sync.WaitGroup // their handlers
}

type oldApp struct {
	name string
	url  *url.URL
}

// oldStream is one client's stream.
type oldStream struct {
	conn *websocket.Conn
	uid  string
	apps []oldApp

	writing sync.Mutex // guards writes to conn

	added chan struct{} // holds one when there may be some pending

	mu      sync.Mutex        // guards what follows
	pending [][]event.Segment // events that wait for their turn; without a bound, as it was
	said    []event.Segment   // the conversation
}

func (o *oldDesign) stream(w http.ResponseWriter, r *http.Request) {
	o.streams.Add(1)
	defer o.streams.Done()
	up := websocket.Upgrader{}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // the client was answered
	}
	defer conn.Close() // it has ended
	s := &oldStream{conn: conn, apps: o.apps, added: make(chan struct{}, 1)}
	var wg sync.WaitGroup
	defer wg.Wait()
	over := make(chan struct{})
	defer close(over)
	wg.Go(func() { s.live(over) }) // ends with over
	for {
		_, b, err := conn.ReadMessage()
		if err != nil {
			return
		}
		m, err := wire.DecodeClient(b)
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *wire.Start:
			s.uid = m.UID
			if strings.HasPrefix(s.uid, warmUsers) {
				s.apps = s.apps[:len(s.apps)-1]
			}
			err = s.say(&wire.Ready{Session: s.uid, Conversation: s.uid, Audio: "none"})
		case *wire.Transcript:
			err = s.say(&wire.Ack{Seq: m.Seq})
			s.mu.Lock()
			s.said = append(s.said, m.Segments...)
			s.pending = append(s.pending, m.Segments)
			s.mu.Unlock()
			select {
			case s.added <- struct{}{}:
			default: // it will look anyway
			}
		case *wire.End:
			s.mu.Lock()
			said := s.said
			s.mu.Unlock()
			wg.Go(func() { s.completed(said) }) // bounded by the calls' timeout
		}
		if err != nil {
			return
		}
	}
}

// live calls the apps with each event in turn, until the stream is over.
func (s *oldStream) live(over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-s.added:
		}
		for {
			s.mu.Lock()
			if len(s.pending) == 0 {
				s.mu.Unlock()
				break
			}
			segments := s.pending[0]
			s.pending = s.pending[1:]
			s.mu.Unlock()
			s.threads(func(a oldApp) {
				payload := struct {
					Session  string          `json:"session_id"`
					Segments []event.Segment `json:"segments"`
				}{s.uid, segments}
				if said, ok := s.call(a, pathTranscript, payload, oldLiveTimeout); ok && said.Notification != nil {
					s.output(a, event.KindTranscript, said) // at once, in the app's thread
				}
			})
			select {
			case <-over:
				return
			default:
			}
		}
	}
}

// completed calls the apps with the conversation. What they answer is given on
// when all have.
func (s *oldStream) completed(segments []event.Segment) {
	var mu sync.Mutex // guards results
	results := map[oldApp]answered{}
	s.threads(func(a oldApp) {
		payload := struct {
			ID         string          `json:"id"`
			Transcript []event.Segment `json:"transcript_segments"`
			Discarded  bool            `json:"discarded"`
		}{ID: s.uid, Transcript: segments}
		if said, ok := s.call(a, pathConversation, payload, oldCompletedTimeout); ok && said.Message != "" {
			mu.Lock()
			defer mu.Unlock()
			results[a] = said
		}
	})
	for a, said := range results {
		s.output(a, event.KindConversation, said)
	}
}

// threads runs do for each app on a thread of its own, and waits for all.
func (s *oldStream) threads(do func(oldApp)) {
	var wg sync.WaitGroup
	for _, a := range s.apps {
		wg.Go(func() {
			runtime.LockOSThread() // never unlocked: the thread ends with this
			do(a)
		})
	}
	wg.Wait()
}

// call posts payload to an app, and says whether it answered. Why not is printed,
// as it was, and is all that became of it.
func (s *oldStream) call(a oldApp, path string, payload any, timeout time.Duration) (answered, bool) {
	said, err := s.post(a, path, payload, timeout)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", a.name, err)
	}
	return said, err == nil
}

// post posts payload to an app on a connection of its own.
func (s *oldStream) post(a oldApp, path string, payload any, timeout time.Duration) (said answered, err error) {
	body, err := json.Marshal(payload)
	if err != nil {
		return said, err
	}
	u := *a.url
	u.Path += path
	u.RawQuery = "uid=" + url.QueryEscape(s.uid)
	req, err := http.NewRequest(http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return said, err
	}
	req.Header.Set("Content-Type", "application/json")
	conn, err := net.DialTimeout("tcp", u.Host, timeout)
	if err != nil {
		return said, err
	}
	defer conn.Close() // read as far as needed
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return said, err
	}
	if err := req.Write(conn); err != nil {
		return said, err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return said, err
	}
	defer res.Body.Close() // the connection is closed
	if res.StatusCode != http.StatusOK {
		return said, fmt.Errorf("%s: %s", a.name, res.Status)
	}
	return said, json.NewDecoder(res.Body).Decode(&said)
}

// output gives an app's answer on to the client.
func (s *oldStream) output(a oldApp, kind event.Kind, said answered) {
	data, err := json.Marshal(said)
	if err != nil {
		return // of two strings, it can't be
	}
	_ = s.say(&wire.Output{Output: event.Output{App: a.name, Conversation: s.uid, Event: kind.String(), Kind: event.OutputEmitted, Data: data}}) // reading sees that the client has gone
}

func (s *oldStream) say(m wire.Message) error {
	b, err := wire.Encode(m)
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	return s.conn.WriteMessage(websocket.TextMessage, b)
}
