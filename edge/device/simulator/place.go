package simulator

import (
	"fmt"
	"strconv"
	"time"

	"github.com/isobar-iot/isobar/edge/device/simulator/internal/smartrest"
)

// place is where a device stands.
type place struct {
	street   string
	number   int
	lat, lng float64
}

// streets are in Leipzig; the positions are good to a block.
var streets = [...]place{
	{"Karl-Liebknecht-Straße", 42, 51.3236, 12.3735},
	{"Gohliser Straße", 11, 51.3563, 12.3660},
	{"Eisenbahnstraße", 87, 51.3459, 12.4046},
	{"Könneritzstraße", 23, 51.3219, 12.3391},
	{"Prager Straße", 60, 51.3290, 12.4020},
	{"Georg-Schumann-Straße", 140, 51.3667, 12.3430},
	{"Waldstraße", 31, 51.3490, 12.3560},
	{"Industriestraße", 9, 51.3265, 12.3365},
	{"Dresdner Straße", 25, 51.3388, 12.3985},
	{"Riebeckstraße", 14, 51.3310, 12.4080},
	{"Delitzscher Straße", 55, 51.3620, 12.3870},
	{"Lützner Straße", 98, 51.3345, 12.3190},
}

// homePlace returns the address of the i-th home: a street of its own each, then further down the same streets.
func homePlace(i int) place {
	p := streets[i%len(streets)]
	round := i / len(streets)
	p.number += 2 * round
	p.lat += 0.00012 * float64(round)
	p.lng += 0.00018 * float64(round)
	return p
}

// machinePlace returns the position of the i-th machine: rows of ten in one hall in the north of the town.
func machinePlace(i int) place {
	return place{street: "Werkhalle", number: 1, lat: 51.4012 + 0.00008*float64(i/10), lng: 12.4461 + 0.00008*float64(i%10)}
}

func (p place) address() string { return p.street + " " + strconv.Itoa(p.number) }

// fields returns the parameters of template 112.
func (p place) fields() []string {
	return []string{fmt.Sprintf("%.5f", p.lat), fmt.Sprintf("%.5f", p.lng), "113", "10"}
}

// localZone is the time by which the people in the homes live.
func localZone() *time.Location {
	if zone, err := time.LoadLocation("Europe/Berlin"); err == nil {
		return zone
	}
	return time.FixedZone("CET", 3600) // a machine without time zones
}

// number formats a reading with at most two decimals.
func number(v float64) string { return smartrest.Decimal(v, 2) }
