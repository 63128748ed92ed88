"""Normalisations, their gradients written out in several ways.

Sources: S. Ioffe, C. Szegedy (2015), "Batch Normalization", section 3; J. Ba et al. (2016), "Layer Normalization",
equation 4; Y. Wu, K. He (2018), "Group Normalization", equation 1; D. Ulyanov et al. (2016), "Instance Normalization",
equation 2.
"""

import numpy as np

from .base import draw, layer, of_functions, of_object

COURSE = "course exercise: functions, cache a tuple"


def batchnorm_forward(x, gamma, beta, bn_param):
    eps, momentum = bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    D = x.shape[1]
    running_mean = bn_param.get("running_mean", np.zeros(D, dtype=x.dtype))
    running_var = bn_param.get("running_var", np.zeros(D, dtype=x.dtype))
    mu = x.mean(axis=0)
    xc = x - mu
    var = np.mean(xc**2, axis=0)
    std = np.sqrt(var + eps)
    xn = xc / std
    out = gamma * xn + beta
    bn_param["running_mean"] = momentum * running_mean + (1 - momentum) * mu
    bn_param["running_var"] = momentum * running_var + (1 - momentum) * var
    return out, (gamma, xc, std, xn)


def batchnorm_backward(dout, cache):
    gamma, xc, std, xn = cache
    N = dout.shape[0]
    dbeta = dout.sum(axis=0)
    dgamma = np.sum(xn * dout, axis=0)
    dxn = gamma * dout
    dxc = dxn / std
    dstd = -np.sum((dxn * xc) / (std * std), axis=0)
    dvar = 0.5 * dstd / std
    dxc += (2.0 / N) * xc * dvar
    dmu = np.sum(dxc, axis=0)
    dx = dxc - dmu / N
    return dx, dgamma, dbeta


@layer(
    "batch normalisation", COURSE + "; running means written into the settings", batchnorm_forward, batchnorm_backward
)
def batchnorm(rng):
    x, gamma, beta = draw(rng, (5, 3), (3,), (3,))
    return of_functions(
        batchnorm_forward, batchnorm_backward, x=x, gamma=gamma, beta=beta, settings={"mode": "train", "eps": 0.02}
    )


def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    eps = gn_param.get("eps", 1e-5)
    N, C, H, W = x.shape
    groups = x.reshape(N, G, C // G, H, W)
    mean = groups.mean(axis=(2, 3, 4), keepdims=True)
    var = groups.var(axis=(2, 3, 4), keepdims=True)
    xhat = ((groups - mean) / np.sqrt(var + eps)).reshape(N, C, H, W)
    return gamma * xhat + beta, (G, xhat, var, gamma, eps)


def spatial_groupnorm_backward(dout, cache):
    G, xhat, var, gamma, eps = cache
    N, C, H, W = dout.shape
    dgamma = np.sum(dout * xhat, axis=(0, 2, 3), keepdims=True)
    dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
    shape = (N, G, C // G, H, W)
    d = (dout * gamma).reshape(shape)
    h = xhat.reshape(shape)
    axes = (2, 3, 4)
    M = C // G * H * W
    dx = M * d - d.sum(axis=axes, keepdims=True) - h * np.sum(d * h, axis=axes, keepdims=True)
    dx = dx / (M * np.sqrt(var + eps))
    return dx.reshape(N, C, H, W), dgamma, dbeta


@layer(
    "group normalisation of images",
    COURSE + "; gamma is (1, C, 1, 1)",
    spatial_groupnorm_forward,
    spatial_groupnorm_backward,
)
def groupnorm(rng):
    x, gamma, beta = draw(rng, (2, 6, 2, 3), (1, 6, 1, 1), (1, 6, 1, 1))
    return of_functions(
        spatial_groupnorm_forward, spatial_groupnorm_backward, x=x, gamma=gamma, beta=beta, G=2, settings={"eps": 0.02}
    )


class LayerNormModule:
    """weight.data, weight.grad; a call is a forward pass."""

    def __init__(self, gain, bias, eps=0.02):
        self.weight, self.bias = Tensor(gain), Tensor(bias)
        self.eps = eps

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        mean = x.mean(-1, keepdims=True)
        var = ((x - mean) ** 2).mean(-1, keepdims=True)
        self.rstd = 1 / np.sqrt(var + self.eps)
        self.normed = (x - mean) * self.rstd
        return self.normed * self.weight.data + self.bias.data

    def backward(self, dy):
        axes = tuple(range(dy.ndim - 1))
        self.weight.grad += (dy * self.normed).sum(axes)
        self.bias.grad += dy.sum(axes)
        d = dy * self.weight.data
        return self.rstd * (d - d.mean(-1, keepdims=True) - self.normed * (d * self.normed).mean(-1, keepdims=True))


class Tensor:
    def __init__(self, data):
        self.data = data
        self.grad = np.zeros_like(data)


@layer("layer normalisation", "object with __call__; weight.data, weight.grad added to", LayerNormModule, Tensor)
def layernorm(rng):
    x, gain, bias = draw(rng, (2, 3, 4), (4,), (4,))
    norm = LayerNormModule(gain, bias)
    return of_object(norm, dict(weight=gain, bias=bias), lambda: [norm.weight.grad, norm.bias.grad], x=x)


class BatchNormOfLists:
    """Weights made in the first forward pass; lists keep every batch; the gradients are added to."""

    def __init__(self, momentum=0.9, epsilon=0.02):
        self.momentum, self.epsilon = momentum, epsilon
        self.in_features = None
        self.X = []
        self.parameters = {"scaler": None, "intercept": None, "running_var": None, "running_mean": None}
        self.is_initialized = False

    def _init_params(self):
        n_in = self.in_features
        self.parameters = {
            "scaler": np.random.rand(n_in),  # noqa: NPY002
            "intercept": np.zeros(n_in),
            "running_var": np.ones(n_in),
            "running_mean": np.zeros(n_in),
        }
        self.gradients = {"scaler": np.zeros(n_in), "intercept": np.zeros(n_in)}
        self.is_initialized = True

    @property
    def hyperparameters(self):
        return {"layer": "BatchNormOfLists", "epsilon": self.epsilon, "momentum": self.momentum}

    def forward(self, X, retain_derived=True):
        if not self.is_initialized:
            self.in_features = X.shape[1]
            self._init_params()
        ep, mm, p = self.epsilon, self.momentum, self.parameters
        mean, var = X.mean(axis=0), X.var(axis=0)
        if retain_derived:
            p["running_mean"] = mm * p["running_mean"] + (1.0 - mm) * mean
            p["running_var"] = mm * p["running_var"] + (1.0 - mm) * var
            self.X.append(X)
        N = (X - mean) / np.sqrt(var + ep)
        return p["scaler"] * N + p["intercept"]

    def backward(self, dLdy, retain_grads=True):
        if not isinstance(dLdy, list):
            dLdy = [dLdy]
        dX = []
        for dy, x in zip(dLdy, self.X, strict=False):
            dx, dScaler, dIntercept = self._bwd(dy, x)
            dX.append(dx)
            if retain_grads:
                self.gradients["scaler"] += dScaler
                self.gradients["intercept"] += dIntercept
        return dX[0] if len(self.X) == 1 else dX

    def _bwd(self, dLdy, X):
        n = X.shape[0]
        mean, var = X.mean(axis=0), X.var(axis=0)
        std = np.sqrt(var + self.epsilon)
        N = (X - mean) / std
        dN = dLdy * self.parameters["scaler"]
        dX = (n * dN - dN.sum(axis=0) - N * (dN * N).sum(axis=0)) / (n * std)
        return dX, (dLdy * N).sum(axis=0), dLdy.sum(axis=0)


@layer(
    "batch normalisation, lists of batches",
    "object; parameters, gradients; lists self.X; running means among the parameters",
    BatchNormOfLists,
)
def batchnorm_of_lists(rng):
    (X,) = draw(rng, (5, 3))
    norm, fresh = BatchNormOfLists(), BatchNormOfLists()
    norm.forward(X)
    names = ("scaler", "intercept")
    params = {name: norm.parameters[name] for name in names}
    for array in params.values():
        array[...] = rng.normal(size=3)
    grads = lambda: [norm.gradients[name] for name in names]  # noqa: E731
    check = lambda check_layer, **options: check_layer(fresh, inputs=(X,), **options)  # noqa: E731
    return of_object(norm, params, grads, before=norm.X.clear, check=check, X=X)


class BatchNormPass:
    """forward_pass(X, training), backward_pass(accum_grad); the gradients go to the optimizers at once."""

    def __init__(self, gamma, beta, momentum=0.99):
        self.momentum = momentum
        self.trainable = True
        self.eps = 0.01
        self.running_mean = None
        self.running_var = None
        self.gamma, self.beta = gamma, beta

    def initialize(self, optimizer):
        self.gamma_opt, self.beta_opt = optimizer(), optimizer()

    def parameters(self):
        return self.gamma.size + self.beta.size

    def forward_pass(self, X, training=True):
        if self.running_mean is None:
            self.running_mean = np.mean(X, axis=0)
            self.running_var = np.var(X, axis=0)
        if training and self.trainable:
            mean = np.mean(X, axis=0)
            var = np.var(X, axis=0)
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean
            self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
        else:
            mean = self.running_mean
            var = self.running_var
        self.X_centered = X - mean
        self.stddev_inv = 1 / np.sqrt(var + self.eps)
        return self.gamma * self.X_centered * self.stddev_inv + self.beta

    def backward_pass(self, accum_grad):
        gamma = self.gamma
        if self.trainable:
            X_norm = self.X_centered * self.stddev_inv
            grad_gamma = np.sum(accum_grad * X_norm, axis=0)
            grad_beta = np.sum(accum_grad, axis=0)
            self.gamma = self.gamma_opt.update(self.gamma, grad_gamma)
            self.beta = self.beta_opt.update(self.beta, grad_beta)
        batch_size = accum_grad.shape[0]
        mean_path = np.sum(accum_grad, axis=0)
        var_path = self.X_centered * self.stddev_inv**2 * np.sum(accum_grad * self.X_centered, axis=0)
        return (1 / batch_size) * gamma * self.stddev_inv * (batch_size * accum_grad - mean_path - var_path)


class GradientDescent:
    def __init__(self, learning_rate=0.05):
        self.learning_rate = learning_rate

    def update(self, w, grad_wrt_w):
        return w - self.learning_rate * grad_wrt_w


class Recorder(GradientDescent):
    """For the true gradient only: it keeps what it is given."""

    def update(self, w, grad_wrt_w):
        self.given = grad_wrt_w
        return w


@layer(
    "batch normalisation, trained as it goes",
    "forward_pass, backward_pass; gradients go to optimizers",
    BatchNormPass,
    GradientDescent,
)
def batchnorm_pass(rng):
    x, gamma, beta = draw(rng, (5, 3), (3,), (3,))
    norm, same = BatchNormPass(gamma, beta), BatchNormPass(gamma.copy(), beta.copy())
    norm.initialize(Recorder)
    same.initialize(GradientDescent)
    return of_object(
        norm,
        dict(gamma=gamma, beta=beta),
        lambda: [norm.gamma_opt.given, norm.beta_opt.given],
        forward="forward_pass",
        backward="backward_pass",
        check=lambda check_layer, **options: check_layer(same, inputs=(x,), **options),
        X=x,
    )


class InstanceNorm:
    """Images (N, H, W, C), without weights; sums in single precision."""

    def __init__(self, eps=0.02):
        self.eps = eps

    def forward(self, images):
        mean = images.mean(axis=(1, 2), keepdims=True)
        self.std = np.sqrt(images.var(axis=(1, 2), keepdims=True) + self.eps)
        self.z = ((images - mean) / self.std).astype(np.float32)
        return self.z

    def backward(self, dout):
        dz = dout.astype(np.float32)
        through_mean = dz.mean(axis=(1, 2), keepdims=True)
        through_std = self.z * np.mean(dz * self.z, axis=(1, 2), keepdims=True)
        return (dz - through_mean - through_std) / self.std.astype(np.float32)


@layer("instance normalisation", "object; .astype(np.float32) in both passes; (N, H, W, C)", InstanceNorm)
def instance_norm(rng):
    return of_object(InstanceNorm(), images=draw(rng, (2, 3, 4, 2))[0])
