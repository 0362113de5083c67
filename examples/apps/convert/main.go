// Convert is an Auricle app: it gives a chat tools to convert between units,
// which a language model does by heart, and often wrong.
package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

func init() {
	sdk.Register(sdk.App{
		Name: "convert", Version: "1.0.0",
		Description: "Converts lengths, weights, volumes, temperatures and speeds for a chat.",
		Author:      "The Auricle authors",
		Wants:       []sdk.Want{sdk.Receive(event.CapTools, "to be asked by a chat for what a quantity is in another unit")},
		Tools: []sdk.Tool{
			{
				Name:        "convert",
				Description: "Converts a quantity from one unit to another of the same kind, for example 5 mi to km. Answers {value, unit}. Call it for any conversion instead of reckoning yourself.",
				Parameters: `{
					"type": "object",
					"properties": {
						"value": {"type": "number", "minimum": -1e15, "maximum": 1e15, "description": "how much, in the unit from"},
						"from":  {"type": "string", "maxLength": 20, "description": "the unit it is in, for example mi; the tool units lists all"},
						"to":    {"type": "string", "maxLength": 20, "description": "the unit that is wanted, for example km"}
					},
					"required": ["value", "from", "to"],
					"additionalProperties": false
				}`,
				Status: "Converting",
				Handle: convert,
			},
			{
				Name:        "units",
				Description: "Lists the units that the tool convert knows, by kind.",
				Parameters:  `{"type": "object", "additionalProperties": false}`,
				Handle:      listUnits,
			},
		},
	})
}

// quantity is what convert answers.
type quantity struct {
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

func convert(_ *sdk.Context, call *event.ToolCall) (any, error) {
	var a struct {
		Value    float64
		From, To string
	}
	if err := json.Unmarshal(call.Arguments, &a); err != nil {
		return nil, err
	}
	from, err := find(a.From)
	if err != nil {
		return nil, err
	}
	to, err := find(a.To)
	if err != nil {
		return nil, err
	}
	if from.kind != to.kind {
		return nil, fmt.Errorf("%s is a %s and %s a %s; convert between units of one kind", from.name, from.kind, to.name, to.kind)
	}
	return quantity{Value: round((a.Value+from.offset)*from.factor/to.factor - to.offset), Unit: to.name}, nil
}

func listUnits(*sdk.Context, *event.ToolCall) (any, error) {
	byKind := map[string][]string{}
	for _, u := range units {
		byKind[u.kind] = append(byKind[u.kind], u.name)
	}
	return byKind, nil
}

// find returns the unit that is called name; case does not matter.
func find(name string) (unit, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	for _, u := range units {
		if u.name == name || slices.Contains(u.also, name) {
			return u, nil
		}
	}
	return unit{}, fmt.Errorf("there is no unit %q here; the tool units lists those that are", name)
}

func main() {}
