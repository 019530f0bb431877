package seriespebble

import (
	"context"
	"errors"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// damaged names what is damaged; the tenant is in the key and is added by wrap.
func damaged(key []byte, what string) error {
	return fault.E(fault.Corrupt, fault.Subject(describe(key)), errors.New(what))
}

// wrap gives an error of the engine its kind, once, at the face.
func wrap(op fault.Op, tenant iot.TenantID, err error) error {
	var known *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.E(op, tenant, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.E(op, fault.Full, tenant, err)
	case errors.Is(err, pebble.ErrClosed):
		return fault.E(op, fault.Unavailable, tenant, err)
	case pebble.IsCorruptionError(err):
		return fault.E(op, fault.Corrupt, tenant, err)
	}
	return fault.E(op, fault.Internal, tenant, err)
}
