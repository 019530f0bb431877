// Package retention removes what is old: the retention part of the paper's Governance capability.
//
// A tenant has rules. A rule selects documents by data type, fragment, type and source, and says how many days they are kept. Rules run
// independently: a document goes when any rule that selects it says so, so that a longer rule never protects from a shorter one. A tenant begins
// with one rule, which keeps everything for DefaultAge days; it gets it once, so that who deletes all rules keeps everything.
//
// Rules run once a day and tenant. Of several nodes the one that claims the day of a tenant does it. Documents go in batches, so that new data
// comes in meanwhile. A tenant that has just got its first rule is left alone until the next day, which leaves time to change the rule.
//
// Age is counted from the time of measurements, events and alarms, and from the creation of operations. Only cleared alarms go. The superseded
// versions of a document go with it. Stored files stay, attachments go with their events.
//
// Audit records are emptied by rules that name their data type, without a type and a source: what they prove must not end after DefaultAge days because
// nobody looked at a default. The chain of hashes stays and still verifies. Bulk operations are left alone; the operations that they created go.
// Rules that select nothing can be kept, because clients do so; Preview tells.
//
// A condition that the documents of a type cannot meet selects none of them: alarms have no fragment type and operations have no type. It never widens a rule.
//
// It never touches what other components own: it asks a Keeper for each data type.
package retention
