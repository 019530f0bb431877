// Package blobs3 keeps the content of blobs in a bucket of any store that speaks S3.
//
// An object is put in parts of 8 MiB, so that its size need not be known, and is there as a whole or not at all. What an upload that was cut
// off has left are its parts, which List names as well. The keys of access are neither logged nor part of any error.
package blobs3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/isobar-iot/isobar/fault"
)

const partBytes = 8 << 20

// Options say where a bucket is.
type Options struct {
	Endpoint  string // URL of the server, without the bucket
	Bucket    string
	Prefix    string // of all keys, such as "isobar/"; may be empty
	Region    string // empty: us-east-1
	PathStyle bool   // the bucket is part of the path, not of the host name
	AccessKey string
	SecretKey string
	Transport http.RoundTripper // nil: the default
}

// Bucket implements blob.Outside. It is safe for concurrent use.
type Bucket struct {
	client *minio.Client
	core   *minio.Core
	o      Options
}

// Open connects and finds out whether the bucket is there. A fault of kind Invalid if the options make no sense, NotFound if there is no such bucket,
// Denied if the keys are not taken, Unavailable if the server cannot be reached.
func Open(ctx context.Context, o Options) (*Bucket, error) {
	const op = fault.Op("blobs3.Open")
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.Trim(u.Path, "/") != "" || u.User != nil {
		return nil, fault.E(op, fault.Invalid, "the S3 endpoint must be a URL of the form https://host:port")
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	lookup := minio.BucketLookupDNS
	if o.PathStyle {
		lookup = minio.BucketLookupPath
	}
	client, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""), Secure: u.Scheme == "https",
		Region: o.Region, BucketLookup: lookup, Transport: o.Transport})
	if err != nil {
		return nil, fault.E(op, fault.Invalid, "the S3 endpoint cannot be used: "+err.Error())
	}
	b := &Bucket{client, &minio.Core{Client: client}, o}
	there, err := client.BucketExists(ctx, o.Bucket)
	if err != nil {
		return nil, fault.E(op, failed(op, err), "the S3 bucket "+o.Bucket+" cannot be used: "+minio.ToErrorResponse(err).Code)
	}
	if !there {
		return nil, fault.E(op, fault.NotFound, "there is no S3 bucket "+o.Bucket)
	}
	return b, nil
}

// failed gives an error of the server its kind.
func failed(op fault.Op, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	kind, r := fault.Unavailable, minio.ToErrorResponse(err)
	switch {
	case r.Code == minio.NoSuchKey || r.Code == minio.NoSuchBucket || r.StatusCode == http.StatusNotFound:
		kind = fault.NotFound
	case r.StatusCode == http.StatusForbidden:
		kind = fault.Internal // our keys are wrong, which is no fault of whoever asks us
	case r.StatusCode == http.StatusInsufficientStorage || r.Code == "QuotaExceeded" || r.Code == "XMinioStorageFull":
		kind = fault.Full
	}
	return fault.E(op, kind, err)
}

// Write implements blob.Outside.
func (b *Bucket) Write(ctx context.Context, name string, r io.Reader) error {
	// MD5 and an unsigned body, because not every server understands signed chunks in the parts of an upload.
	_, err := b.client.PutObject(ctx, b.o.Bucket, b.o.Prefix+name, r, -1,
		minio.PutObjectOptions{ContentType: "application/octet-stream", PartSize: partBytes, NumThreads: 1, SendContentMd5: true, DisableContentSha256: true})
	return failed("blobs3.Write", err)
}

// Open implements blob.Outside.
func (b *Bucket) Open(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	var o minio.GetObjectOptions
	if offset > 0 {
		info, err := b.client.StatObject(ctx, b.o.Bucket, b.o.Prefix+name, minio.StatObjectOptions{})
		if err != nil {
			return nil, failed("blobs3.Open", err)
		}
		if offset == info.Size { // no range can say so
			return http.NoBody, nil
		}
		if err := o.SetRange(offset, 0); err != nil {
			return nil, fault.E(fault.Op("blobs3.Open"), fault.Invalid, err)
		}
	}
	// One plain request: an object that is replaced meanwhile cannot be asked for again in the middle.
	r, _, _, err := b.core.GetObject(ctx, b.o.Bucket, b.o.Prefix+name, o)
	if err != nil {
		return nil, failed("blobs3.Open", err)
	}
	return r, nil
}

// Remove implements blob.Outside.
func (b *Bucket) Remove(ctx context.Context, name string) error {
	if err := b.client.RemoveIncompleteUpload(ctx, b.o.Bucket, b.o.Prefix+name); err != nil && !fault.Is(failed("", err), fault.NotFound) {
		return failed("blobs3.Remove", err)
	}
	err := failed("blobs3.Remove", b.client.RemoveObject(ctx, b.o.Bucket, b.o.Prefix+name, minio.RemoveObjectOptions{}))
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// List implements blob.Outside.
func (b *Bucket) List(ctx context.Context, yield func(name string, written time.Time) error) error {
	ctx, cancel := context.WithCancel(ctx) // ends the goroutines behind both channels
	defer cancel()
	for o := range b.client.ListObjects(ctx, b.o.Bucket, minio.ListObjectsOptions{Prefix: b.o.Prefix, Recursive: true}) {
		if o.Err != nil {
			return failed("blobs3.List", o.Err)
		}
		if err := yield(strings.TrimPrefix(o.Key, b.o.Prefix), o.LastModified); err != nil {
			return err
		}
	}
	for u := range b.client.ListIncompleteUploads(ctx, b.o.Bucket, b.o.Prefix, true) {
		if err := failed("blobs3.List", u.Err); fault.Is(err, fault.NotFound) { // so some servers say that there are none
			break
		} else if err != nil {
			return err
		}
		if err := yield(strings.TrimPrefix(u.Key, b.o.Prefix), u.Initiated); err != nil {
			return err
		}
	}
	return ctx.Err()
}
