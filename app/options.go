package app

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/governance/retention"
	"github.com/isobar-iot/isobar/platform/connectivity/rawlog"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// checkOptions tells the tenants' options what the components that read them understand, so that a typing error is told at once and does
// not silently mean the default.
func (p *parts) checkOptions() {
	p.tenants.AddCheck(telemetry.ZoneCategory, telemetry.ZoneKey, func(v string) error {
		if v == "" {
			return nil
		}
		_, err := series.ParseZone(v)
		return err
	})
	p.tenants.AddCheck(telemetry.IngestCategory, telemetry.OptionAhead, between(0, 36500))
	p.tenants.AddCheck(telemetry.IngestCategory, telemetry.OptionBehind, between(0, 36500))
	p.tenants.AddCheck(telemetry.IngestCategory, telemetry.OptionClock, func(v string) error {
		if !slices.Contains([]string{"accept", "correct", "refuse"}, v) {
			return errors.New("the value must be accept, correct or refuse")
		}
		return nil
	})
	p.tenants.AddCheck(c8yrest.OriginCategory, c8yrest.OriginKey, c8yrest.CheckOrigins)
	p.tenants.AddCheck(retention.Category, retention.SemanticsKey, func(v string) error {
		if _, err := retention.ParseSemantics(v); err != nil {
			return errors.New("the value must be any or specific")
		}
		return nil
	})
	p.tenants.AddCheck(rawlog.Category, rawlog.KeepHours, between(0, rawlog.MaxHours))
	p.tenants.AddCheck(rawlog.Category, rawlog.KeepMB, between(1, math.MaxInt64>>20))
}

// between says that a value must be a whole number in a range.
func between(least, most int64) func(string) error {
	return func(v string) error {
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < least || n > most {
			return fmt.Errorf("the value must be a whole number from %d to %d", least, most)
		}
		return nil
	}
}
