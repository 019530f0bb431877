// Package smartrest is the static part of Cumulocity's SmartREST 2.0: it turns lines of comma separated values into typed
// commands and operations back into lines. Bytes to nouns, nouns to bytes, nothing else.
//
// It owns the quoting rules (Split, Fields, FormatLine), the table of uplink templates with one decoder each (Parse), the table of
// downlink templates (OperationLines), the replies (Reply...), the errors on s/e (LineError), and what the result parameters of
// a finished operation mean (ApplyResult). Message 603, the list of capabilities, is derived from these tables.
//
// It never looks up a device, stores, publishes, reads a clock or knows a topic: which object a line is about, and who may write
// to it, is decided by the caller. Where an effect depends on stored state, the command has a pure method that takes the state
// and returns the change (RequiredAvailability.Patch, MergeSoftware.Apply, ParameterUpdate.Patch, ...).
//
// Invariants: a bad line yields one LineError and never stops the lines behind it; no input makes the package panic; strings and
// documents in a command never alias the payload; a line that FormatLine wrote splits into the same fields again.
//
// All functions are safe for concurrent use. Use:
//
//	for line := range smartrest.Parse(payload, now, smartrest.Limits{}) {
//		if line.Err != nil {
//			publish("s/e", line.Err.Line())
//			continue
//		}
//		switch m := line.Message.(type) {
//		case smartrest.Measure:
//			m.Measurement.Source = device
//			...
//		}
//	}
package smartrest
