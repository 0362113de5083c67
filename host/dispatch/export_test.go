package dispatch

// Callee is what a Dispatcher needs of an app; tests give their own.
type Callee = callee

// NewWith is New with apps that tests make.
func NewWith(o Options, names []string, callees []Callee) (*Dispatcher, error) {
	var es []entry
	for i, c := range callees {
		es = append(es, entry{name: names[i], app: c})
	}
	return open(o, es)
}

// ReplaceWith is Replace with apps that tests make.
func (d *Dispatcher) ReplaceWith(names []string, callees []Callee, retire func(Callee)) {
	var es []entry
	for i, c := range callees {
		es = append(es, entry{name: names[i], app: c})
	}
	d.replace(es, func(e entry) { retire(e.app) })
}

// The bounds that tests go up to.
const (
	MaxPendingSegments      = maxPendingSegments
	MaxPendingConversations = maxPendingConversations
	RecentInvocations       = recentInvocations
	BreakerFailures         = breakerFailures
	BreakerOpenFor          = breakerOpenFor
)
