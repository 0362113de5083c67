package child

import "time"

// Usage is what the system says that a process uses.
type Usage struct {
	At      time.Time
	CPU     time.Duration // since its start, to 10 ms
	RSS     int64         // bytes resident
	FDs     int           // descriptors that are open
	Threads int           // the system's
}
