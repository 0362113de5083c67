package main

import (
	"math"
	"strconv"
)

// unit is one that quantities are given in. A value v of it is
// (v + offset) * factor of its kind's first.
type unit struct {
	kind, name     string
	also           []string // what else it is called, lower-case
	factor, offset float64
}

var units = []unit{
	{"length", "m", []string{"metre", "meter", "metres", "meters"}, 1, 0},
	{"length", "km", []string{"kilometre", "kilometer", "kilometres", "kilometers"}, 1000, 0},
	{"length", "cm", []string{"centimetre", "centimeter", "centimetres", "centimeters"}, 0.01, 0},
	{"length", "mm", []string{"millimetre", "millimeter", "millimetres", "millimeters"}, 0.001, 0},
	{"length", "mi", []string{"mile", "miles"}, 1609.344, 0},
	{"length", "yd", []string{"yard", "yards"}, 0.9144, 0},
	{"length", "ft", []string{"foot", "feet"}, 0.3048, 0},
	{"length", "in", []string{"inch", "inches"}, 0.0254, 0},
	{"weight", "kg", []string{"kilogram", "kilograms"}, 1, 0},
	{"weight", "g", []string{"gram", "grams"}, 0.001, 0},
	{"weight", "lb", []string{"pound", "pounds", "lbs"}, 0.45359237, 0},
	{"weight", "oz", []string{"ounce", "ounces"}, 0.028349523125, 0},
	{"volume", "l", []string{"litre", "liter", "litres", "liters"}, 1, 0},
	{"volume", "ml", []string{"millilitre", "milliliter", "millilitres", "milliliters"}, 0.001, 0},
	{"volume", "gal", []string{"gallon", "gallons"}, 3.785411784, 0},
	{"volume", "cup", []string{"cups"}, 0.2365882365, 0},
	{"volume", "floz", []string{"fluid ounce", "fluid ounces", "fl oz"}, 0.0295735295625, 0},
	{"temperature", "k", []string{"kelvin"}, 1, 0},
	{"temperature", "c", []string{"celsius", "°c"}, 1, 273.15},
	{"temperature", "f", []string{"fahrenheit", "°f"}, 5.0 / 9, 459.67},
	{"speed", "m/s", []string{"metres per second", "meters per second"}, 1, 0},
	{"speed", "km/h", []string{"kph", "kmh"}, 1 / 3.6, 0},
	{"speed", "mph", []string{"miles per hour"}, 0.44704, 0},
	{"speed", "kn", []string{"knot", "knots"}, 1852.0 / 3600, 0},
}

// round leaves ten digits: what is behind them is of the binary fractions.
func round(v float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 10, 64), 64)
	if err != nil || math.Abs(r) < 1e-12 {
		return 0
	}
	return r
}
