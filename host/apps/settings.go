package apps

import (
	"strings"

	"github.com/auricle-dev/auricle/host/config"
)

// positionOf returns where the setting at a JSON pointer stands, or the
// nearest thing around it that has a place.
func positionOf(pos config.AppPos, pointer string) config.Pos {
	for {
		if p, ok := pos.Setting[pointer]; ok {
			return p
		}
		i := strings.LastIndexByte(pointer, '/')
		if i < 0 {
			break
		}
		pointer = pointer[:i]
	}
	return firstPos(pos.Settings, pos.Block)
}

// firstPos returns the first that says anything.
func firstPos(ps ...config.Pos) config.Pos {
	for _, p := range ps {
		if p != (config.Pos{}) {
			return p
		}
	}
	return config.Pos{}
}
