package store

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// serverLogger gives the embedded server's messages to hclog. What the server
// thinks notable is debug to a host's operator. Fatalf ends nothing: the
// server then returns, and cause says why.
type serverLogger struct {
	log   hclog.Logger
	alarm chan struct{} // holds one once the server logged an error

	mu   sync.Mutex // guards last
	last error      // the last fatal or other error
}

func (l *serverLogger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLogger) Debugf(format string, v ...any)  { l.log.Trace(fmt.Sprintf(format, v...)) }
func (l *serverLogger) Tracef(string, ...any)           {} // would show payloads
func (l *serverLogger) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *serverLogger) Errorf(format string, v ...any)  { l.keep(fmt.Sprintf(format, v...)) }
func (l *serverLogger) Fatalf(format string, v ...any)  { l.keep(fmt.Sprintf(format, v...)) }

func (l *serverLogger) keep(text string) {
	l.log.Error(text)
	l.mu.Lock()
	l.last = errors.New(text)
	l.mu.Unlock()
	select {
	case l.alarm <- struct{}{}:
	default:
	}
}

// cause returns the last error that the server logged.
func (l *serverLogger) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		return errors.New("it gave no reason")
	}
	return l.last
}
