// Package retention removes what is old: the retention part of the paper's Governance capability.
//
// A tenant has rules. A rule selects documents by data type, fragment, type and source, and says how many days they are kept. Rules run
// independently: a document goes when any rule that selects it says so, so that a longer rule never protects from a shorter one. A tenant can choose
// that the most specific rule decides alone instead (see Semantics): a longer one then protects. Without a rule everything is kept: nobody loses data by a default that nobody looked at. Deps.FirstAge gives tenants that are created a rule for everything.
//
// Rules run once a day and tenant, and when somebody asks for it. Of several nodes the one that claims the run of a tenant does it. Documents go in
// batches, so that new data comes in meanwhile. After a rest of more than Leap rules do not run by themselves: a clock that has leapt forward would
// make everything too old, and only a person can tell that from a machine that was switched off.
//
// Age is counted from the time of measurements, events and alarms, and from the creation of operations and bulk operations. Only cleared alarms and
// bulk operations that are over go. The superseded versions of a document go with it. Stored files stay, attachments go with their events. Audit
// records are emptied: the chain of hashes stays and still verifies.
//
// A condition that the documents of a type cannot meet selects none of them: alarms have no fragment type and operations have no type. It never widens a rule.
//
// It never touches what other components own: it asks a Keeper for each data type.
package retention
