package config

import "reflect"

// Changed returns the keys outside app blocks for which next has another value
// than c, in Reference's order. next.Pos says where each of them stands.
func (c Config) Changed(next Config) []Key {
	var changed []Key
	for _, k := range keys {
		if k.host != nil && !reflect.DeepEqual(k.host(&c), k.host(&next)) {
			changed = append(changed, k)
		}
	}
	return changed
}
