// Package applogic is the paper's Application Logic: the applications that run on the platform, and who may use them.
//
// It owns the registry of applications (hosted web applications, microservices, applications elsewhere), their archives and versions, which tenants
// are subscribed, and the accounts that microservices work with. It runs microservices as processes of this machine, where the server allows that, or
// knows where they listen. It never serves HTTP: user/web shows files of archives to browsers, wire/c8yrest passes requests on to services.
//
// Apps is the face: it authorizes, validates, audits, keeps history and publishes, once. Store is what a driver must do.
//
// # Who sees an application
//
// Its owner; the tenants that are subscribed; with availability SHARED, every tenant below the owner. What is on the MARKET can be subscribed by every
// tenant below the owner itself; anything of its own a tenant can give to its subtenants.
//
// # Facts
//
// A change is published after it is durable, as "isobar.<tenant>.application.<action>.<id>", to the owner and, on subscription, to the subscriber.
//
// # Invariants
//
//   - Ids of applications are unique on the platform; those below 1000 are applications of the platform itself.
//   - An archive is checked whole before it is kept: what is stored can be served without a further look at names and sizes.
//   - The account of a microservice in a tenant exists exactly as long as the subscription, with exactly the permissions that its manifest names and the
//     tenant does not keep from microservices (restricted roles).
package applogic
