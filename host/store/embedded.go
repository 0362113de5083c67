package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The streams and their subjects.
const (
	streamOpen          = "OPEN"
	streamConversations = "CONVERSATIONS"
	streamResults       = "RESULTS"

	subjectOpen          = "open.*"
	subjectConversations = "conversation.*.*"
	subjectParts         = "part.*.*.*"
	subjectResults       = "result.*.*"
)

var streams = []jetstream.StreamConfig{
	{Name: streamOpen, Description: "segments of open conversations", Subjects: []string{subjectOpen}},
	{Name: streamConversations, Description: "completed conversations", Subjects: []string{subjectConversations, subjectParts}},
	{Name: streamResults, Description: "what apps made of conversations", Subjects: []string{subjectResults}},
}

// embedded is a JetStream server within this process and a connection to it.
type embedded struct {
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
	stream map[string]jetstream.Stream // by name; not changed once connected
	closed chan struct{}               // closed when conn is, with all of its goroutines' callbacks
}

// startEmbedded starts a server over the files in dir, connects and makes the
// streams that are missing. On an error nothing is left running.
func startEmbedded(ctx context.Context, dir string, log hclog.Logger) (*embedded, error) {
	srv, err := server.NewServer(&server.Options{
		ServerName:             "auricle",
		DontListen:             true, // no port: reached in process only
		NoSigs:                 true, // signals are the host's
		NoSystemAccount:        true,
		DisableJetStreamBanner: true,
		JetStream:              true,
		StoreDir:               dir,
		SyncAlways:             true, // what is acknowledged is on the disk
		MaxPayload:             2 * MaxMessageBytes,
		// The default is a share of what the disk has free at this start,
		// against which what is stored already would count again. A full
		// disk is an error of the write that meets it.
		JetStreamMaxStore:  math.MaxInt64 / 2,
		JetStreamMaxMemory: 64 << 20, // no stream is kept in memory
	})
	if err != nil {
		return nil, fmt.Errorf("configuring the embedded server: %w", err)
	}
	logger := &serverLogger{log: log}
	srv.SetLoggerV2(logger, false, false, false)
	e := &embedded{server: srv}

	// Ends when the server is up or has given up; Start reads through the
	// stored files. Waited for here, on an early end too.
	started := make(chan struct{})
	go func() {
		defer close(started)
		srv.Start()
	}()
	select {
	case <-started:
	case <-ctx.Done():
		srv.Shutdown()
		<-started
		e.close()
		return nil, fmt.Errorf("starting the embedded server: %w", ctx.Err())
	}
	if !srv.JetStreamEnabled() {
		e.close()
		return nil, fmt.Errorf("starting the embedded server: %w", logger.cause())
	}
	if err := e.connect(ctx, log); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *embedded) connect(ctx context.Context, log hclog.Logger) error {
	e.closed = make(chan struct{})
	conn, err := nats.Connect("",
		nats.InProcessServer(e.server),
		nats.Name("auricle store"),
		// Room for one batch: the default makes 512 KiB for each request.
		nats.SyncQueueLen(2*getBatch),
		nats.MaxReconnects(-1), // the server is ours: only close ends it
		nats.ReconnectWait(50*time.Millisecond),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("the connection to the embedded server broke and is made anew", "error", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("the connection to the embedded server had an error", "error", err)
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(e.closed) }),
	)
	if err != nil {
		return fmt.Errorf("connecting to the embedded server: %w", err)
	}
	e.conn = conn
	if e.js, err = jetstream.New(conn); err != nil {
		return fmt.Errorf("connecting to the embedded server: %w", err)
	}
	e.stream = make(map[string]jetstream.Stream, len(streams))
	for _, c := range streams {
		c.Storage = jetstream.FileStorage
		c.AllowDirect = true // reading asks no consumer
		// Message ids are not used; remembering them would read every message
		// of the window again at each start. This is the shortest there is.
		c.Duplicates = 100 * time.Millisecond
		if e.stream[c.Name], err = e.js.CreateOrUpdateStream(ctx, c); err != nil {
			return fmt.Errorf("opening stream %s: %w", c.Name, err)
		}
	}
	return nil
}

// close ends the connection and the server and waits for both.
func (e *embedded) close() {
	if e.conn != nil {
		e.conn.Close()
		<-e.closed
	}
	e.server.Shutdown()
	e.server.WaitForShutdown()
}

// ready returns why no write can be taken, or nil.
func (e *embedded) ready() error {
	switch {
	case !e.server.Running():
		return errors.New("the embedded server has stopped")
	case !e.server.JetStreamEnabled():
		return errors.New("the embedded server has stopped storing, the disk may be full or broken; see the log")
	case !e.conn.IsConnected():
		return fmt.Errorf("the connection to the embedded server is %s", e.conn.Status())
	}
	return nil
}

// publish writes one message; it is on synced disk when nil is returned. With
// once set it writes only when subject holds no message yet, and reports
// whether one was there.
func (e *embedded) publish(ctx context.Context, m *nats.Msg, once bool) (there bool, err error) {
	if len(m.Data) > MaxMessageBytes {
		return false, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(m.Data), MaxMessageBytes)
	}
	var opts []jetstream.PublishOpt
	if once {
		opts = append(opts, jetstream.WithExpectLastSequencePerSubject(0))
	}
	_, err = e.js.PublishMsg(ctx, m, opts...)
	var api *jetstream.APIError
	if once && errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant) {
		return true, nil
	}
	return false, err
}

// purge removes every message of a stream under a subject.
func (e *embedded) purge(ctx context.Context, stream, subject string) error {
	return e.stream[stream].Purge(ctx, jetstream.WithPurgeSubject(subject))
}

// subjects lists the subjects of a stream's messages that match filter.
func (e *embedded) subjects(ctx context.Context, stream, filter string) (map[string]uint64, error) {
	info, err := e.stream[stream].Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, err
	}
	return info.State.Subjects, nil
}

// last returns the last message under a subject; jetstream.ErrMsgNotFound when
// there is none.
func (e *embedded) last(ctx context.Context, stream, subject string) (*nats.Msg, error) {
	m, err := e.conn.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+stream+"."+subject, nil)
	if err != nil {
		return nil, err
	}
	switch status := m.Header.Get("Status"); status {
	case "":
		return m, nil
	case "404":
		return nil, jetstream.ErrMsgNotFound
	default:
		return nil, fmt.Errorf("reading stream %s: status %s %s", stream, status, m.Header.Get("Description"))
	}
}
