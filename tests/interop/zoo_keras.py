"""The zoo's nets of Keras and of TensorFlow without it: name -> (shapes of the inputs, function of them).

The functions get the module of Keras or TensorFlow first. A shape whose last entry is a string says that the
input is of whole numbers below that.
"""


def residual(k, x):
    L = k.layers
    x = L.Conv2D(4, 3, 2, "same", activation="relu")(x)
    y = L.BatchNormalization()(L.Conv2D(4, 3, padding="same", use_bias=False)(x))
    x = L.ReLU()(L.Add()([x, y]))
    return L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(x))


def mobile(k, x):
    L = k.layers
    x = L.Conv2D(4, 3, 2, "same")(x)
    y = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(8, 1)(x)))
    y = L.ReLU(6.0)(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(y)))
    s = L.Conv2D(8, 1, activation="sigmoid")(
        L.Conv2D(2, 1, activation="silu")(L.GlobalAveragePooling2D(keepdims=True)(y))
    )
    x = L.Add()([x, L.Conv2D(4, 1)(L.Multiply()([y, s]))])
    return L.Dense(3)(L.GlobalAveragePooling2D()(x))


def xception(k, x):
    L = k.layers
    y = L.SeparableConv2D(6, 3, padding="same", activation="relu")(x)
    y = L.MaxPooling2D(3, 2, "same")(y)
    return L.Dense(3)(L.Flatten()(L.Add()([y, L.Conv2D(6, 1, 2, "same")(x)])))


def dense_blocks(k, x):
    L = k.layers
    for _ in range(2):
        x = L.Concatenate()([x, L.Conv2D(3, 3, padding="same")(L.ReLU()(L.BatchNormalization()(x)))])
    return L.Dense(3)(L.GlobalMaxPooling2D()(L.AveragePooling2D(2)(x)))


def unet(k, x):
    L = k.layers
    a = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    b = L.Conv2D(6, 3, padding="same", activation="relu")(L.MaxPooling2D(2)(a))
    up = L.Concatenate()([a, L.UpSampling2D(2, interpolation="bilinear")(b)])
    return L.Conv2D(2, 1, activation="sigmoid")(L.Conv2D(4, 3, padding="same")(up))


def unet_transposed(k, x):
    L = k.layers
    a = L.LeakyReLU()(L.Conv2D(4, 3, 2, "same")(x))
    return L.Conv2DTranspose(2, 3, 2, "same", activation="tanh")(L.Concatenate()([a, L.PReLU()(a)]))


def transformer(k, x):
    L = k.layers
    x = L.Embedding(9, 8)(x)
    x = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 4)(x, x)]))
    # Not gelu: tf2onnx writes it as Erfc, which no domain has.
    y = L.Dense(8)(L.Dense(12, activation="silu")(x))
    return L.Dense(3, activation="softmax")(L.GlobalAveragePooling1D()(L.LayerNormalization()(L.Add()([x, y]))))


def causal(k, x):
    L = k.layers
    x = L.Embedding(9, 8)(x)
    x = L.Add()([x, L.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)])
    return L.Dense(9)(x)


def vision_transformer(k, x):
    L = k.layers
    x = L.Reshape((-1, 8))(L.Conv2D(8, 4, 4)(x))
    x = L.Add()([x, L.MultiHeadAttention(2, 4)(L.LayerNormalization()(x), L.LayerNormalization()(x))])
    return L.Dense(3)(L.Flatten()(x))


def translator(k, x, y):
    L = k.layers
    memory, state = L.GRU(6, return_sequences=True, return_state=True)(L.Embedding(9, 5)(x))
    rows = L.GRU(6, return_sequences=True)(L.Embedding(9, 5)(y), initial_state=state)
    return L.Dense(9)(L.Concatenate()([rows, L.Attention()([rows, memory])]))


def recommender(k, x, y):
    L = k.layers
    a, b = L.Flatten()(L.Embedding(9, 4)(x)), L.Flatten()(L.Embedding(7, 4)(y))
    deep = L.Dense(5, activation="relu")(L.Concatenate()([a, b]))
    return L.Activation("sigmoid")(L.Add()([L.Dot(1)([a, b]), L.Dense(1)(deep)]))


def audio(k, x):
    L = k.layers
    x = L.ELU()(L.Conv1D(5, 4, strides=2, padding="same")(x))
    x = L.GroupNormalization(1)(L.Conv1D(5, 3, dilation_rate=2, padding="causal")(x))
    return L.Dense(3)(L.Bidirectional(L.LSTM(4))(x))


def clips(k, x):
    L = k.layers
    x = L.MaxPooling3D((1, 2, 2))(L.Conv3D(3, 2, activation="relu")(x))
    return L.Dense(3)(L.GlobalAveragePooling3D()(x))


def frames(k, x):
    L = k.layers
    return L.Dense(3)(L.GRU(5)(L.TimeDistributed(L.Dense(4, activation="softplus"))(x)))


KERAS = {
    "resnet": ([(8, 8, 3)], residual),
    "mobilenet": ([(8, 8, 3)], mobile),
    "xception": ([(8, 8, 3)], xception),
    "densenet": ([(8, 8, 3)], dense_blocks),
    "unet": ([(8, 8, 3)], unet),
    "unet_transposed": ([(8, 8, 3)], unet_transposed),
    "transformer": ([(5, "9")], transformer),
    "gpt": ([(5, "9")], causal),
    "vit": ([(8, 8, 3)], vision_transformer),
    "seq2seq": ([(5, "9"), (4, "9")], translator),
    "recommender": ([(1, "9"), (1, "7")], recommender),
    "audio": ([(16, 2)], audio),
    "video": ([(3, 6, 6, 2)], clips),
    "time_distributed": ([(5, 3)], frames),
}


def mlp(tf, w, x):
    return tf.nn.softmax(tf.nn.selu(x @ w(6, 5)) @ w(5, 3) + w(3))


def attention(tf, w, x):
    q, k, v = (tf.einsum("nld,dhe->nhle", x, w(6, 2, 3)) for _ in range(3))
    return tf.einsum("nhlm,nhme->nlhe", tf.nn.softmax(tf.einsum("nhle,nhme->nhlm", q, k)), v)


def pyramid(tf, w, x):
    a = tf.nn.conv2d(x, w(3, 3, 3, 4), 1, "SAME")
    b = tf.nn.avg_pool2d(a, 2, 2, "VALID")
    big = tf.image.resize(b, (8, 8), "bilinear")
    near = tf.image.resize(b, (8, 8), "nearest")
    return tf.nn.depth_to_space(tf.concat([a, big, near, a], -1), 2)


def gated(tf, w, x):
    best, which = tf.math.top_k(x @ w(6, 4), 2)
    share = tf.nn.softmax(best)
    return tf.einsum("nk,nkj->nj", share, tf.gather(w(4, 3), which))


def statistics(tf, w, x):
    mean, variance = tf.nn.moments(x, [1], keepdims=True)
    y = (x - mean) * tf.math.rsqrt(variance + 1e-3) * w(6)
    return tf.cumsum(y, 1), tf.reduce_logsumexp(y, 1), tf.argmax(y, 1), tf.reverse(y, [1])


def chosen(tf, w, x):
    y = tf.where(x > 0, tf.square(x), tf.math.erf(x))
    return tf.strided_slice(y, [0, 1], [1000, 6], [1, 2]), tf.one_hot(tf.argmax(x, 1), 6), tf.linalg.band_part(
        y[:, :, None] * w(6)[None, None], 0, -1
    )


TENSORFLOW = {
    "mlp": ((6,), mlp, (9, 13, 18)),
    "attention": ((5, 6), attention, (13, 17)),
    "pyramid": ((8, 8, 3), pyramid, (11, 18)),
    "gated": ((6,), gated, (12, 16)),
    "statistics": ((6,), statistics, (11, 15)),
    "chosen": ((6,), chosen, (14, 18)),
}
