// Package replays keeps recordings of invocations in a directory, so that an
// app's author can run a failure again on a machine of their own.
//
// Whatever ended otherwise than ok is kept, and of the rest the share that the
// operator asks for. A recording is a file, named after its invocation. It
// holds what a person said, as the app heard it: the directory and its files
// are readable by the host's user only, and nothing of a file's content gets
// into the log.
//
// The directory is bounded by size, and by age if the operator wants: beyond
// the size, the oldest recordings go of the app that has the most, so that one
// that fails all the time does not push out what others failed with.
//
// Concurrency: Keep only puts a recording into a queue, bounded in number and
// size; when that is full the recording is dropped and counted. One goroutine,
// which Close waits for, encodes, writes and removes. Recordings are not
// synced: after a crash of the machine the last ones may be missing or damaged,
// which they tell by themselves.
//
// It may import host/apps and plugins, and the engine and the apps know nothing
// of it.
package replays
