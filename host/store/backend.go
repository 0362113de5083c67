package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The streams and their subjects.
const (
	streamOpen          = "OPEN"
	streamConversations = "CONVERSATIONS"
	streamResults       = "RESULTS"
	streamJobs          = "JOBS"
	streamUsers         = "USERS"
	streamValues        = "VALUES"
	streamMemories      = "MEMORIES"
	streamHosts         = "HOSTS"

	subjectOpen          = "open.*.*"
	subjectLegacyOpen    = "open.*"
	subjectConversations = "conversation.*.*"
	subjectParts         = "part.*.*.*"
	subjectResults       = "result.*.*"
	subjectJobs          = "job.*.*"
	subjectUsers         = "user.*"
	subjectValues        = "value.*.*"
	subjectMemories      = "memory.*.*"
	subjectHosts         = "host.*"
)

// diskStreams are those that are kept on disk.
var diskStreams = []string{streamOpen, streamConversations, streamResults, streamJobs, streamUsers, streamMemories, streamValues}

// The server's error codes that the client library has no name for.
const (
	codeNoSuitablePeers      jetstream.ErrorCode = 10005
	codeNotAvailable         jetstream.ErrorCode = 10008
	codeNameInUse                                = jetstream.JSErrCodeStreamNameInUse
	codeReplicasNotSupported jetstream.ErrorCode = 10074
	codeIncompleteBatch      jetstream.ErrorCode = 10176
)

// Why an embedded server takes no writes.
var (
	errStopped        = errors.New("the embedded server has stopped")
	errStoppedStoring = errors.New("the embedded server has stopped storing, the disk may be full or broken; see the log")
)

// errInterrupted says that the connection broke while an answer was awaited.
var errInterrupted = errors.New("the connection to the server broke")

// backend is what a Store keeps its records with: a connection to the embedded
// server, which it then owns, or to a cluster, and the streams there. A Store
// may replace it; what was asked of the old one fails then.
type backend struct {
	server *embedded // nil: a cluster
	conn   *nats.Conn
	js     jetstream.JetStream // over conn
	link   *link
	stream map[string]jetstream.Stream // by name; not changed once open
	closed chan struct{}               // closed when conn is, with all of its goroutines' callbacks
	apart  map[string]*apart           // by stream; empty with a cluster

	broken context.Context         // ends, with the cause, when the embedded server can't write any more
	fail   context.CancelCauseFunc // ends it

	maxMessage int           // bytes of one message's body
	minBatch   int           // messages that are worth a batch
	patience   time.Duration // how long an answer is waited for
}

// headerRoom is what a server's limit on a message leaves for its headers.
const headerRoom = 16 << 10

// The patience of a backend. The embedded server answers in the end: a disk that
// stalls does not make what it still writes be written twice. In a cluster the
// server that was asked may be gone, and the question with it.
const (
	patienceEmbedded = 30 * time.Second
	patienceCluster  = 2 * time.Second
)

// streams returns what is to be kept, and how.
func (o *Options) streams() []jetstream.StreamConfig {
	configs := []jetstream.StreamConfig{
		{Name: streamOpen, Description: "open conversations, and those whose work is not done", Subjects: []string{subjectOpen, subjectLegacyOpen}, AllowRollup: true, AllowMsgTTL: true},
		{Name: streamConversations, Description: "completed conversations", Subjects: []string{subjectConversations, subjectParts}},
		{Name: streamResults, Description: "what apps made of conversations", Subjects: []string{subjectResults}},
		{Name: streamJobs, Description: "apps' work that is waiting, running or dead", Subjects: []string{subjectJobs}, AllowMsgTTL: true},
		{Name: streamUsers, Description: "what users have chosen about apps", Subjects: []string{subjectUsers}, AllowMsgTTL: true},
		{Name: streamValues, Description: "what apps keep for users", Subjects: []string{subjectValues}, AllowMsgTTL: true},
		{Name: streamMemories, Description: "what apps have noted about users", Subjects: []string{subjectMemories}},
	}
	for i := range configs {
		c := &configs[i]
		c.Storage = jetstream.FileStorage
		c.AllowDirect = true // reading asks no consumer
		c.AllowAtomicPublish = true
		if c.Name != streamOpen {
			// Of a job, a user and an app's values there is the last; of all others there never is more
			// than one, but saying so makes the server keep the stream in
			// files of half the size, of which it reads a whole one for a
			// message that it has not read for a while.
			c.MaxMsgsPerSubject = 1
		}
	}
	if o.NATS != nil {
		configs = append(configs, jetstream.StreamConfig{
			Name: streamHosts, Description: "the hosts that share this store", Subjects: []string{subjectHosts},
			Storage: jetstream.MemoryStorage, MaxMsgsPerSubject: 1, MaxAge: 2 * o.HostTTL,
		})
		for i := range configs {
			configs[i].Replicas = o.NATS.replicas()
		}
	}
	for i := range configs {
		// Message ids are not used; remembering them would read every message
		// of the window again at each start. This is the shortest there is.
		configs[i].Duplicates = 100 * time.Millisecond
	}
	return configs
}

// openBackend starts the embedded server or reaches the cluster, connects and
// makes or updates the streams. On an error nothing is left running.
func openBackend(ctx context.Context, o *Options, log hclog.Logger) (*backend, error) {
	b := &backend{link: newLink(), closed: make(chan struct{}), apart: map[string]*apart{}, minBatch: minBatch, patience: patienceEmbedded}
	b.broken, b.fail = context.WithCancelCause(context.Background())
	var opts []nats.Option
	urls := ""
	if o.NATS == nil {
		var err error
		if b.server, err = startEmbedded(ctx, o.Dir, log); err != nil {
			return nil, err
		}
		opts = b.server.options()
	} else {
		var err error
		if opts, err = o.NATS.options(); err != nil {
			return nil, err
		}
		b.patience = patienceCluster
		urls = strings.Join(o.NATS.URLs, ",")
	}
	err := b.connect(ctx, urls, opts, log)
	if err == nil {
		err = b.makeStreams(ctx, o)
	}
	if err != nil {
		b.close()
		if o.NATS != nil {
			if b.conn == nil {
				return nil, o.NATS.unreachable(err)
			}
			return nil, o.NATS.refused(err)
		}
		return nil, err
	}
	if b.server != nil {
		b.minBatch = b.server.stage(o.Dir)
	}
	return b, nil
}

func (b *backend) connect(ctx context.Context, urls string, opts []nats.Option, log hclog.Logger) error {
	opts = append(opts, commonOptions(log)...)
	if b.server != nil {
		for _, stream := range diskStreams {
			a, err := connectApart(opts, stream)
			if a != nil {
				b.apart[stream] = a
			}
			if err != nil {
				return fmt.Errorf("connecting: %w", err)
			}
		}
	}
	opts = append(opts,
		nats.ReconnectHandler(func(*nats.Conn) {
			b.link.made()
			log.Info("the connection to the store's server is back")
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			b.link.broke()
			if err != nil {
				log.Warn("the connection to the store's server broke and is made anew", "error", err)
			}
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
	)
	conn, err := nats.Connect(urls, opts...)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	b.conn = conn
	b.link.made()
	if err := checkVersion(conn); err != nil {
		return err
	}
	b.maxMessage = min(MaxMessageBytes, int(conn.MaxPayload())-headerRoom)
	if b.maxMessage < minMessageBytes {
		return fmt.Errorf("the server takes messages of up to %d bytes only; raise its max_payload to %d or more, best to %d", conn.MaxPayload(), minMessageBytes+headerRoom, 2*MaxMessageBytes)
	}
	b.js, err = jetstream.New(conn)
	return err
}

// commonOptions are what every connection is made with.
func commonOptions(log hclog.Logger) []nats.Option {
	return []nats.Option{
		nats.Name("auricle store"),
		// Room for one batch: the default makes 512 KiB for each request.
		nats.SyncQueueLen(2 * getBatch),
		nats.MaxReconnects(-1), // until close
		// What can't be sent now fails now: whoever writes knows whether to try again.
		nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("the connection to the store's server had an error", "error", err)
		}),
	}
}

// apart is a connection to the embedded server over which one stream is asked.
// What is asked of a stream waits for its sync that is under way, and all that
// comes behind it on its connection waits too: writes, and other streams, must
// not.
type apart struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	closed chan struct{} // closed when conn is, with all of its goroutines' callbacks
}

func connectApart(opts []nats.Option, stream string) (*apart, error) {
	a := &apart{closed: make(chan struct{})}
	var err error
	a.conn, err = nats.Connect("", append(slices.Clone(opts), nats.Name("auricle store "+stream), nats.ClosedHandler(func(*nats.Conn) { close(a.closed) }))...)
	if err != nil {
		return nil, err
	}
	a.js, err = jetstream.New(a.conn)
	return a, err
}

// asking returns the connection over which to ask a stream.
func (b *backend) asking(stream string) *nats.Conn {
	if a := b.apart[stream]; a != nil {
		return a.conn
	}
	return b.conn
}

// minMessageBytes is the least that a server must take as one message.
const minMessageBytes = 256 << 10

// checkVersion returns an error when the server can't do what is asked of it.
func checkVersion(conn *nats.Conn) error {
	var major, minor int
	version := conn.ConnectedServerVersion()
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil || major < 2 || major == 2 && minor < 12 {
		return fmt.Errorf("NATS server %s at %s is version %q; 2.12 or later is needed", conn.ConnectedServerName(), conn.ConnectedUrlRedacted(), version)
	}
	return nil
}

// makeStreams makes the streams that are missing and updates the others. It
// asks again while a cluster is not ready to answer.
func (b *backend) makeStreams(ctx context.Context, o *Options) error {
	b.stream = map[string]jetstream.Stream{}
	for _, c := range o.streams() {
		js := b.js
		if a := b.apart[c.Name]; a != nil {
			js = a.js
		}
		for wait := backoff(0); ; wait = wait.next() {
			attempt, cancel := context.WithTimeout(ctx, connectTimeout)
			stream, err := openStream(attempt, js, c)
			cancel()
			if err == nil {
				b.stream[c.Name] = stream
				break
			}
			if o.NATS == nil || !passing(ctx, err) || wait.wait(ctx) != nil {
				return fmt.Errorf("opening stream %s: %w", c.Name, err)
			}
		}
	}
	return nil
}

// openStream returns the stream that c asks for. One that is so already is not
// touched: on a full disk it could not be, and can be read.
func openStream(ctx context.Context, js jetstream.JetStream, c jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, c.Name)
	if err == nil && isAsked(stream.CachedInfo().Config, c) {
		return stream, nil
	}
	return js.CreateOrUpdateStream(ctx, c)
}

// isAsked reports whether a stream is as asked, in all that is ever asked. The
// server says -1 or 1 for some of what is left open.
func isAsked(is, asked jetstream.StreamConfig) bool {
	return is.Description == asked.Description && slices.Equal(is.Subjects, asked.Subjects) &&
		is.Storage == asked.Storage && max(is.Replicas, 1) == max(asked.Replicas, 1) &&
		max(is.MaxMsgsPerSubject, 0) == max(asked.MaxMsgsPerSubject, 0) && is.MaxAge == asked.MaxAge && is.Duplicates == asked.Duplicates &&
		is.AllowDirect == asked.AllowDirect && is.AllowAtomicPublish == asked.AllowAtomicPublish &&
		is.AllowRollup == asked.AllowRollup && is.AllowMsgTTL == asked.AllowMsgTTL
}

// close ends the connections and the embedded server and waits for them.
func (b *backend) close() {
	for _, a := range b.apart {
		a.conn.Close()
		<-a.closed
	}
	if b.conn != nil {
		b.conn.Close()
		<-b.closed
	}
	b.link.broke()
	b.fail(errInterrupted)
	if b.server != nil {
		b.server.stop()
	}
}

// ready returns why no write can be taken, or nil.
func (b *backend) ready() error {
	if b.server != nil {
		if err := b.server.ready(); err != nil {
			return err
		}
	}
	if !b.conn.IsConnected() {
		return fmt.Errorf("the connection to the store's server is %s", b.conn.Status())
	}
	return nil
}

// sound returns why what a stream says it has may not be on the disk, or nil.
// The error wraps ErrUnavailable.
func (b *backend) sound(stream string) error {
	if b.server == nil {
		return nil
	}
	if err := b.server.soundStream(stream); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// pubAck is the server's answer to a message or to a whole batch.
type pubAck struct {
	Error *jetstream.APIError `json:"error"`
	Seq   uint64              `json:"seq"`
}

// request sends m over conn and waits for the answer, as long as the backend's
// patience lasts. It ends with errInterrupted when the connection breaks
// meanwhile. Whether m arrived is then unknown.
func (b *backend) request(ctx context.Context, conn *nats.Conn, m *nats.Msg) (*nats.Msg, error) {
	link := b.link.life()
	ctx, hurry := context.WithTimeout(ctx, b.patience)
	defer hurry()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(link, func() { cancel(errInterrupted) })()
	answer, err := conn.RequestMsgWithContext(ctx, m)
	if err != nil && errors.Is(context.Cause(ctx), errInterrupted) {
		err = errInterrupted
	}
	return answer, err
}

// publish sends m and returns the sequence under which it is stored. The error
// wraps ErrUnavailable once the embedded server can't write any more: it then
// gives no answers.
func (b *backend) publish(ctx context.Context, m *nats.Msg) (uint64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(b.broken, func() { cancel(context.Cause(b.broken)) })()
	answer, err := b.request(ctx, b.conn, m)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, ErrUnavailable) {
			err = cause
		}
		return 0, err
	}
	var ack pubAck
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return 0, fmt.Errorf("reading the server's answer: %w", err)
	}
	if ack.Error != nil {
		return 0, ack.Error
	}
	if ack.Seq == 0 {
		return 0, errors.New("the server's answer has no sequence")
	}
	return ack.Seq, nil
}

// api asks the server's API for something of a stream and decodes its answer.
func (b *backend) api(ctx context.Context, what, stream string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	m, err := b.request(ctx, b.asking(stream), &nats.Msg{Subject: "$JS.API." + what + "." + stream, Data: body})
	if err != nil {
		return err
	}
	var failed struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &failed); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	if failed.Error != nil {
		return failed.Error
	}
	return json.Unmarshal(m.Data, answer)
}

// purgeRequest says what to remove of a stream; see backend.purge.
type purgeRequest struct {
	Filter string `json:"filter,omitempty"` // only messages whose subject matches
	Before uint64 `json:"seq,omitempty"`    // only those with a lower sequence; 0: all
	Keep   uint64 `json:"keep,omitempty"`   // but for so many of the newest
}

// purge removes messages of a stream and returns how many.
func (b *backend) purge(ctx context.Context, stream string, r purgeRequest) (int, error) {
	var answer struct {
		Purged int `json:"purged"`
	}
	err := b.api(ctx, "STREAM.PURGE", stream, r, &answer)
	return answer.Purged, err
}

// state returns a stream's state, as its leader has it.
func (b *backend) state(ctx context.Context, stream string) (jetstream.StreamState, error) {
	var info jetstream.StreamInfo
	err := b.api(ctx, "STREAM.INFO", stream, struct{}{}, &info)
	return info.State, err
}

// subjects lists the subjects of a stream's messages that match filter, as
// its leader has them.
func (b *backend) subjects(ctx context.Context, stream, filter string) (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*b.patience) // there may be several pages
	defer cancel()
	info, err := b.stream[stream].Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, err
	}
	return info.State.Subjects, nil
}

// stored is a message as a stream's leader has it.
type stored struct {
	Subject string      `json:"subject"`
	Seq     uint64      `json:"seq"`
	Data    []byte      `json:"data"`
	RawHead []byte      `json:"hdrs"`
	Header  nats.Header `json:"-"`
	Time    time.Time   `json:"time"`
}

// leaderRequest asks for one message: the last under a subject, or the first
// from a sequence on that matches a filter.
type leaderRequest struct {
	LastFor string `json:"last_by_subj,omitempty"`
	Seq     uint64 `json:"seq,omitempty"`
	NextFor string `json:"next_by_subj,omitempty"`
}

// fromLeader returns one message as the stream's leader has it, where the
// replicas that scan and lastOfEach ask may be behind; nil when there is none.
func (b *backend) fromLeader(ctx context.Context, stream string, r leaderRequest) (*stored, error) {
	var answer struct {
		Message *stored `json:"message"`
	}
	err := b.api(ctx, "STREAM.MSG.GET", stream, r, &answer)
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeMessageNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := answer.Message
	if m == nil {
		return nil, errors.New("the server's answer has no message")
	}
	m.Header = nats.Header{}
	if len(m.RawHead) > 0 {
		if m.Header, err = nats.DecodeHeadersMsg(m.RawHead); err != nil {
			return nil, fmt.Errorf("decoding a message's headers: %w", err)
		}
	}
	return m, nil
}

// last returns the last message under a subject; jetstream.ErrMsgNotFound when
// there is none.
func (b *backend) last(ctx context.Context, stream, subject string) (*nats.Msg, error) {
	m, err := b.request(ctx, b.asking(stream), &nats.Msg{Subject: "$JS.API.DIRECT.GET." + stream + "." + subject})
	if err != nil {
		return nil, err
	}
	switch status := m.Header.Get("Status"); status {
	case "":
		return m, nil
	case "404":
		if b.server != nil {
			return nil, jetstream.ErrMsgNotFound
		}
		kept, err := b.fromLeader(ctx, stream, leaderRequest{LastFor: subject}) // another may be behind
		if err == nil && kept == nil {
			err = jetstream.ErrMsgNotFound
		}
		if err != nil {
			return nil, err
		}
		return &nats.Msg{Subject: kept.Subject, Header: kept.Header, Data: kept.Data}, nil
	default:
		return nil, fmt.Errorf("reading stream %s: status %s %s", stream, status, m.Header.Get("Description"))
	}
}
