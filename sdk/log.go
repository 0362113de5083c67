package sdk

import "fmt"

// Level is the level of a line of an app's log.
type Level int32

// The levels, least urgent first.
const (
	LevelTrace Level = iota
	LevelDebug
	LevelInfo
	LevelWarn
	LevelError
)

// Log writes a line to the app's log, which the operator reads and
// auricle app run prints; what the app writes to standard output and standard
// error goes there as well. An invocation's log is cut at 8 KiB. It is kept
// whatever the outcome. Leave users' words out of it.
func (c *Context) Log(l Level, text string) { c.host.log(int32(l), text) }

// Debugf logs at LevelDebug; the arguments are those of fmt.Sprintf.
func (c *Context) Debugf(format string, args ...any) {
	c.Log(LevelDebug, fmt.Sprintf(format, args...))
}

// Infof logs at LevelInfo; the arguments are those of fmt.Sprintf.
func (c *Context) Infof(format string, args ...any) {
	c.Log(LevelInfo, fmt.Sprintf(format, args...))
}

// Warnf logs at LevelWarn; the arguments are those of fmt.Sprintf.
func (c *Context) Warnf(format string, args ...any) {
	c.Log(LevelWarn, fmt.Sprintf(format, args...))
}

// Errorf logs at LevelError; the arguments are those of fmt.Sprintf. It
// neither makes an error nor ends the invocation: return an error for that.
func (c *Context) Errorf(format string, args ...any) {
	c.Log(LevelError, fmt.Sprintf(format, args...))
}
