package inference

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"sibyl/inference/oip"
)

const (
	// maxRemoteMessage bounds an answer, in bytes.
	maxRemoteMessage = 64 << 20
	// askTimeout bounds a question about the model.
	askTimeout = 3 * time.Second
	// reconnectDelay is the longest that the connection waits before it is tried again.
	reconnectDelay = time.Second
)

// remotePolicy spreads runs over all addresses of the server's name, and sends one that did not reach the server once
// more, within its deadline: inference changes nothing, so that twice is as good as once. Any other error stays.
const remotePolicy = `{
	"loadBalancingConfig": [{"round_robin": {}}],
	"methodConfig": [{
		"name": [{"service": "inference.GRPCInferenceService", "method": "ModelInfer"}],
		"retryPolicy": {
			"maxAttempts": 2, "initialBackoff": "0.1s", "maxBackoff": "0.5s", "backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}]
}`

// remoteChannel asks a server about one model. It is safe for concurrent use.
type remoteChannel struct {
	conn   *grpc.ClientConn
	client oip.GRPCInferenceServiceClient
	// model and version are the names there; an empty version is the one that the server chooses.
	model, version string
}

// dialRemote makes a channel, which connects when it is first needed, and again by itself. The caller closes conn.
func dialRemote(c *config, model, version string) (*remoteChannel, error) {
	transport := insecure.NewCredentials()
	if c.remote.tls {
		transport = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	reconnect := backoff.DefaultConfig
	reconnect.BaseDelay, reconnect.MaxDelay = reconnectDelay/10, reconnectDelay
	conn, err := grpc.NewClient(
		"dns:///"+c.remote.target,
		grpc.WithTransportCredentials(transport),
		grpc.WithDisableServiceConfig(), // of DNS
		grpc.WithDefaultServiceConfig(remotePolicy),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: askTimeout}),
		// More often is taken for an attack by servers in their default settings.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 5 * time.Second}),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(maxRemoteMessage),
			grpc.MaxRetryRPCBufferSize(maxRemoteMessage), // what is larger is not sent again
		),
	)
	if err != nil {
		return nil, c.errorf("remote.url", "is no address") // the cause tells it
	}
	return &remoteChannel{conn, oip.NewGRPCInferenceServiceClient(conn), model, version}, nil
}

// describe asks for the model's inputs and outputs. The error is ErrUnavailable where the model is not ready, or its
// server does not answer.
func (x *remoteChannel) describe(ctx context.Context) (*oip.ModelMetadataResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	ready, err := x.client.ModelReady(ctx, &oip.ModelReadyRequest{Name: x.model, Version: x.version})
	switch {
	case status.Code(err) == codes.DeadlineExceeded:
		return nil, fmt.Errorf("%w: model %q: %w", ErrUnavailable, x.model, context.DeadlineExceeded)
	case err != nil: // servers have no common code for a model that they do not have
		return nil, fmt.Errorf("%w: model %q: %s", ErrUnavailable, x.model, status.Convert(err).Message())
	case !ready.GetReady():
		return nil, fmt.Errorf("%w: model %q is not ready", ErrUnavailable, x.model)
	}
	metadata, err := x.client.ModelMetadata(ctx, &oip.ModelMetadataRequest{Name: x.model, Version: x.version})
	if err != nil {
		return nil, remoteError(ctx, err)
	}
	return metadata, nil
}

func (x *remoteChannel) infer(ctx context.Context, r *oip.ModelInferRequest) (*oip.ModelInferResponse, error) {
	answer, err := x.client.ModelInfer(ctx, r)
	if err != nil {
		return nil, remoteError(ctx, err)
	}
	return answer, nil
}

// refusedCall is what a server says of a call that it did not answer, though it is there.
type refusedCall string

func (e refusedCall) Error() string { return "the server says " + string(e) }

// remoteError says what a call's error means: ctx's error when that has ended, ErrUnavailable, ErrOverloaded, or a
// refusedCall, shortened. An ErrUnavailable tells the server's address.
func remoteError(ctx context.Context, err error) error {
	s := status.Convert(err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.Code() == codes.DeadlineExceeded: // ours, of which the server knew
		return context.DeadlineExceeded
	case s.Code() == codes.Unavailable, s.Code() == codes.NotFound,
		s.Code() == codes.Canceled: // not by the caller: the server shuts down
		return fmt.Errorf("%w: %s", ErrUnavailable, s.Message())
	case s.Code() == codes.ResourceExhausted && !strings.Contains(s.Message(), "larger than max"):
		return fmt.Errorf("%w: %s", ErrOverloaded, s.Message())
	}
	const most = 300
	text := strings.ToValidUTF8(s.Message()[:min(len(s.Message()), most)], "")
	return refusedCall(s.Code().String() + ": " + strings.Join(strings.Fields(text), " "))
}
