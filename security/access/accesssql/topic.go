package accesssql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

var _ access.TopicStore = (*Store)(nil)

// TopicRules implements access.TopicStore.
func (s *Store) TopicRules(ctx context.Context, t iot.TenantID) (rules []access.TopicRule, err error) {
	var doc []byte
	if err := s.db.QueryRow(ctx, `SELECT doc FROM topic_rules WHERE tenant = ?`, string(t)).Scan(&doc); err != nil {
		return nil, err
	}
	return rules, json.Unmarshal(doc, &rules)
}

// PutTopicRules implements access.TopicStore.
func (s *Store) PutTopicRules(ctx context.Context, t iot.TenantID, rules []access.TopicRule, rev sqlkit.Revision) (before []access.TopicRule, err error) {
	doc, err := json.Marshal(rules)
	if err != nil {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		before = nil
		if err := tx.Lock(ctx, "topic_rules", string(t)); err != nil {
			return err
		}
		var old []byte
		var at int64
		err := tx.QueryRow(ctx, `SELECT doc, rev_at FROM topic_rules WHERE tenant = ?`+tx.ForUpdate(), string(t)).Scan(&old, &at)
		if errors.Is(err, sql.ErrNoRows) {
			_, err = tx.Exec(ctx, `INSERT INTO topic_rules (tenant, doc, rev_at, rev_by, rev_set) VALUES (?,?,?,?,?)`, string(t), string(doc), rev.At.UnixMilli(), rev.By, rev.Set)
			return err
		}
		if err != nil {
			return err
		}
		if err := json.Unmarshal(old, &before); err != nil {
			return err
		}
		if err := tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(t), Kind: string(iot.KindTopicRules), ID: "rules", From: sqlkit.Time(at), Until: rev, Doc: old}); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE topic_rules SET doc = ?, rev_at = ?, rev_by = ?, rev_set = ? WHERE tenant = ?`, string(doc), rev.At.UnixMilli(), rev.By, rev.Set, string(t))
		return err
	})
	return before, err
}
