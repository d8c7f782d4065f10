//! The architectures that the course names, as descriptions that [`super::count`] counts.
//!
//! | network | paper |
//! |---|---|
//! | [`mlp`] | Rumelhart et al. (1986) |
//! | [`lenet5`] | LeCun et al. (1998), with a fully connected C3 |
//! | [`alexnet`] | Krizhevsky (2014), arXiv 1404.5997: one column; the network of 2012 has two (60.97 M parameters) |
//! | [`vgg`] | Simonyan & Zisserman (2015), arXiv 1409.1556 |
//! | [`googlenet`] | Szegedy et al. (2015), arXiv 1409.4842, with batch norm and without the auxiliary classifiers |
//! | [`resnet`], [`resnet_bottleneck`] | He et al. (2016), arXiv 1512.03385; ResNeXt: Xie et al. (2017), arXiv 1611.05431 |
//! | [`densenet121`] | Huang et al. (2017), arXiv 1608.06993 |
//! | [`squeezenet`] | Iandola et al. (2016), arXiv 1602.07360, version 1.0 |
//! | [`mobilenet_v2`] | Sandler et al. (2018), arXiv 1801.04381 |
//! | [`unet`] | Ronneberger et al. (2015), arXiv 1505.04597, with padding |
//! | [`recurrent`] | Elman (1990); Hochreiter & Schmidhuber (1997); Cho et al. (2014) |
//! | [`transformer_encoder_layer`], [`gpt2_small`], [`bert_base`] | Vaswani et al. (2017), arXiv 1706.03762 |
//! | [`neural_ode`] | Chen et al. (2018), arXiv 1806.07366 |
//! | [`autoencoder`], [`gcn`] | Hinton & Salakhutdinov (2006); Kipf & Welling (2017), arXiv 1609.02907 |
use super::count::{Layer, Network, Size, Window};

fn conv(out: usize, kernel: usize, stride: usize, padding: usize) -> Layer {
    Layer::Conv { out, window: Window::new(kernel, stride, padding), groups: 1, bias: true }
}

fn bare_conv(out: usize, kernel: usize, stride: usize, padding: usize, groups: usize) -> Layer {
    Layer::Conv { out, window: Window::new(kernel, stride, padding), groups, bias: false }
}

fn pool(kernel: usize, stride: usize, padding: usize) -> Layer {
    Layer::Pool(Window::new(kernel, stride, padding))
}

fn ceil_pool(kernel: usize, stride: usize) -> Layer {
    Layer::Pool(Window { ceil: true, ..Window::new(kernel, stride, 0) })
}

fn dense(out: usize) -> Layer {
    Layer::Dense { out, bias: true }
}

const PICTURE: Size = Size::Image(3, 224, 224);

/// A fully connected network with these widths and an activation between two layers.
pub fn mlp(name: &'static str, widths: &[usize]) -> Network {
    let mut layers = Vec::new();
    for &width in widths.iter().skip(1) {
        layers.extend([dense(width), Layer::Activation]);
    }
    layers.pop();
    Network { name, input: Size::Vector(widths.first().copied().unwrap_or(0)), layers }
}

// ANCHOR: lenet
/// LeNet-5 for one channel of 32 × 32 pixels.
pub fn lenet5() -> Network {
    let tanh = Layer::Activation;
    let layers = vec![
        conv(6, 5, 1, 0),
        tanh.clone(),
        pool(2, 2, 0),
        conv(16, 5, 1, 0),
        tanh.clone(),
        pool(2, 2, 0),
        Layer::Flatten,
        dense(120),
        tanh.clone(),
        dense(84),
        tanh,
        dense(10),
    ];
    Network { name: "LeNet-5", input: Size::Image(1, 32, 32), layers }
}
// ANCHOR_END: lenet

/// AlexNet.
pub fn alexnet() -> Network {
    let relu = || Layer::Activation;
    let mut layers =
        vec![conv(64, 11, 4, 2), relu(), pool(3, 2, 0), conv(192, 5, 1, 2), relu(), pool(3, 2, 0)];
    layers.extend([
        conv(384, 3, 1, 1),
        relu(),
        conv(256, 3, 1, 1),
        relu(),
        conv(256, 3, 1, 1),
        relu(),
        pool(3, 2, 0),
    ]);
    layers.extend([Layer::AdaptivePool(6, 6), Layer::Flatten]);
    // Dropout before both hidden layers has an output of its own.
    layers.extend([relu(), dense(4096), relu(), relu(), dense(4096), relu(), dense(1000)]);
    Network { name: "AlexNet", input: PICTURE, layers }
}

/// Convolutions at one resolution, and the pool that halves it.
fn vgg_block(convolutions: usize, out: usize) -> Vec<Layer> {
    let mut layers = Vec::new();
    for _ in 0..convolutions {
        layers.extend([conv(out, 3, 1, 1), Layer::Activation]);
    }
    layers.push(pool(2, 2, 0));
    layers
}

/// VGG with 11 or 16 layers of weights: convolutions per block.
fn vgg_of(name: &'static str, blocks: [usize; 5]) -> Network {
    let mut layers = Vec::new();
    for (convolutions, out) in blocks.into_iter().zip([64, 128, 256, 512, 512]) {
        layers.extend(vgg_block(convolutions, out));
    }
    layers.extend([Layer::AdaptivePool(7, 7), Layer::Flatten]);
    for _ in 0..2 {
        layers.extend([dense(4096), Layer::Activation, Layer::Activation]); // ReLU, dropout
    }
    layers.push(dense(1000));
    Network { name, input: PICTURE, layers }
}

/// VGG-16, or VGG-11 when `is_small`.
pub fn vgg(is_small: bool) -> Network {
    if is_small { vgg_of("VGG-11", [1, 1, 2, 2, 2]) } else { vgg_of("VGG-16", [2, 2, 3, 3, 3]) }
}

/// A convolution with batch norm and a ReLU in place, GoogLeNet's unit.
fn basic(out: usize, kernel: usize, stride: usize, padding: usize) -> Vec<Layer> {
    vec![bare_conv(out, kernel, stride, padding, 1), Layer::Norm, Layer::InPlace]
}

/// GoogLeNet's module: 1×1, 1×1 then 3×3, 1×1 then 3×3 (torchvision's choice for the paper's 5×5), pool then 1×1.
fn inception([one, three_in, three, five_in, five, pooled]: [usize; 6]) -> Layer {
    let mut last = vec![Layer::Pool(Window { ceil: true, ..Window::new(3, 1, 1) })];
    last.extend(basic(pooled, 1, 1, 0));
    Layer::Concat(vec![
        basic(one, 1, 1, 0),
        [basic(three_in, 1, 1, 0), basic(three, 3, 1, 1)].concat(),
        [basic(five_in, 1, 1, 0), basic(five, 3, 1, 1)].concat(),
        last,
    ])
}

/// GoogLeNet.
pub fn googlenet() -> Network {
    let mut layers = basic(64, 7, 2, 3);
    layers.push(ceil_pool(3, 2));
    layers.extend([basic(64, 1, 1, 0), basic(192, 3, 1, 1)].concat());
    layers.push(ceil_pool(3, 2));
    layers.extend([[64, 96, 128, 16, 32, 32], [128, 128, 192, 32, 96, 64]].map(inception));
    layers.push(ceil_pool(3, 2));
    layers.extend(
        [
            [192, 96, 208, 16, 48, 64],
            [160, 112, 224, 24, 64, 64],
            [128, 128, 256, 24, 64, 64],
            [112, 144, 288, 32, 64, 64],
            [256, 160, 320, 32, 128, 128],
        ]
        .map(inception),
    );
    layers.push(ceil_pool(2, 2));
    layers.extend([[256, 160, 320, 32, 128, 128], [384, 192, 384, 48, 128, 128]].map(inception));
    layers.extend([Layer::AdaptivePool(1, 1), Layer::Flatten, Layer::Activation, dense(1000)]);
    Network { name: "GoogLeNet", input: PICTURE, layers }
}

/// Stem of a residual network.
fn stem() -> Vec<Layer> {
    vec![bare_conv(64, 7, 2, 3, 1), Layer::Norm, Layer::Activation, pool(3, 2, 1)]
}

fn head(classes: usize) -> [Layer; 3] {
    [Layer::AdaptivePool(1, 1), Layer::Flatten, dense(classes)]
}

// ANCHOR: resnet
/// A residual network of blocks of two 3 × 3 convolutions: ResNet-18 and -34.
pub fn resnet(name: &'static str, blocks: [usize; 4]) -> Network {
    let mut layers = stem();
    let mut channels = 64;
    for (stage, (count, out)) in blocks.into_iter().zip([64, 128, 256, 512]).enumerate() {
        for block in 0..count {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            layers.extend(residual_block(channels, out, stride));
            channels = out;
        }
    }
    layers.extend(head(1000));
    Network { name, input: PICTURE, layers }
}

/// Two 3 × 3 convolutions, and a way around them.
fn residual_block(channels: usize, out: usize, stride: usize) -> Vec<Layer> {
    let body = vec![
        bare_conv(out, 3, stride, 1, 1),
        Layer::Norm,
        Layer::Activation,
        bare_conv(out, 3, 1, 1, 1),
        Layer::Norm,
    ];
    vec![Layer::Add(vec![body, shortcut(channels, out, stride)]), Layer::Activation]
}

/// Nothing where sizes agree, else a 1 × 1 convolution.
fn shortcut(channels: usize, out: usize, stride: usize) -> Vec<Layer> {
    if channels == out && stride == 1 { vec![] } else { vec![bare_conv(out, 1, stride, 0, 1), Layer::Norm] }
}
// ANCHOR_END: resnet

/// A residual network of blocks 1×1, 3×3, 1×1: ResNet-50 and -101 with one group of the stage's width, ResNeXt with many
/// groups, wide networks with a wider middle.
pub fn resnet_bottleneck(
    name: &'static str,
    blocks: [usize; 4],
    groups: usize,
    width_per_group: usize,
) -> Network {
    let mut layers = stem();
    let mut channels = 64;
    for (stage, (count, base)) in blocks.into_iter().zip([64, 128, 256, 512]).enumerate() {
        let (middle, out) = (base * width_per_group / 64 * groups, base * 4);
        for block in 0..count {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let mut body = vec![bare_conv(middle, 1, 1, 0, 1), Layer::Norm, Layer::Activation];
            body.extend([bare_conv(middle, 3, stride, 1, groups), Layer::Norm, Layer::Activation]);
            body.extend([bare_conv(out, 1, 1, 0, 1), Layer::Norm]);
            layers.extend([Layer::Add(vec![body, shortcut(channels, out, stride)]), Layer::Activation]);
            channels = out;
        }
    }
    layers.extend(head(1000));
    Network { name, input: PICTURE, layers }
}

/// A layer of a dense block: 32 new channels behind all before them.
fn dense_layer() -> Layer {
    let grown = vec![
        Layer::Norm,
        Layer::Activation,
        bare_conv(128, 1, 1, 0, 1),
        Layer::Norm,
        Layer::Activation,
        bare_conv(32, 3, 1, 1, 1),
    ];
    Layer::Concat(vec![vec![], grown])
}

/// DenseNet-121: each layer reads all before it.
pub fn densenet121() -> Network {
    let mut layers = vec![bare_conv(64, 7, 2, 3, 1), Layer::Norm, Layer::Activation, pool(3, 2, 1)];
    let mut channels = 64;
    for (stage, count) in [6, 12, 24, 16].into_iter().enumerate() {
        for _ in 0..count {
            layers.push(dense_layer());
            channels += 32;
        }
        layers.push(Layer::Norm);
        if stage < 3 {
            channels /= 2;
            layers.extend([Layer::Activation, bare_conv(channels, 1, 1, 0, 1), pool(2, 2, 0)]);
        }
    }
    layers.extend([Layer::InPlace, Layer::GlobalMean, dense(1000)]);
    Network { name: "DenseNet-121", input: PICTURE, layers }
}

/// SqueezeNet 1.0.
pub fn squeezenet() -> Network {
    let fire = |squeeze: usize, expand: usize| {
        let relu = |conv| vec![conv, Layer::Activation];
        let mut layers = relu(conv(squeeze, 1, 1, 0));
        layers.push(Layer::Concat(vec![relu(conv(expand, 1, 1, 0)), relu(conv(expand, 3, 1, 1))]));
        layers
    };
    let mut layers = vec![conv(96, 7, 2, 0), Layer::Activation, ceil_pool(3, 2)];
    layers.extend([fire(16, 64), fire(16, 64), fire(32, 128)].concat());
    layers.push(ceil_pool(3, 2));
    layers.extend([fire(32, 128), fire(48, 192), fire(48, 192), fire(64, 256)].concat());
    layers.push(ceil_pool(3, 2));
    layers.extend(fire(64, 256));
    layers.extend([Layer::Activation, conv(1000, 1, 1, 0), Layer::Activation, Layer::AdaptivePool(1, 1)]);
    layers.push(Layer::Flatten);
    Network { name: "SqueezeNet 1.0", input: PICTURE, layers }
}

/// A convolution of MobileNet-V2 with its norm and activation.
fn unit(out: usize, kernel: usize, stride: usize, groups: usize) -> Vec<Layer> {
    vec![bare_conv(out, kernel, stride, kernel / 2, groups), Layer::Norm, Layer::Activation]
}

/// Wider by a 1×1 convolution, 3×3 channel by channel, narrow again; around it where sizes agree.
fn inverted_residual(channels: usize, expand: usize, out: usize, stride: usize) -> Vec<Layer> {
    let hidden = channels * expand;
    let mut body = if expand > 1 { unit(hidden, 1, 1, 1) } else { vec![] };
    body.extend(unit(hidden, 3, stride, hidden));
    body.extend([bare_conv(out, 1, 1, 0, 1), Layer::Norm]);
    if stride == 1 && channels == out { vec![Layer::Add(vec![body, vec![]])] } else { body }
}

/// MobileNet-V2: 1×1 to six times the channels, 3×3 channel by channel, 1×1 back.
pub fn mobilenet_v2() -> Network {
    let mut layers = unit(32, 3, 2, 1);
    let mut channels = 32;
    for (expand, out, count, first_stride) in [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ] {
        for block in 0..count {
            let stride = if block == 0 { first_stride } else { 1 };
            layers.extend(inverted_residual(channels, expand, out, stride));
            channels = out;
        }
    }
    layers.extend(unit(1280, 1, 1, 1));
    layers.extend([Layer::GlobalMean, Layer::Activation, dense(1000)]); // dropout has an output of its own
    Network { name: "MobileNet-V2", input: PICTURE, layers }
}

/// U-Net for one channel of 256 × 256 pixels and two classes, with padding, so that the output is as large as the input.
pub fn unet() -> Network {
    let double =
        |out: usize| vec![conv(out, 3, 1, 1), Layer::Activation, conv(out, 3, 1, 1), Layer::Activation];
    let mut layers = double(1024);
    for out in [512, 256, 128, 64] {
        let mut deeper = vec![pool(2, 2, 0)];
        deeper.append(&mut layers);
        deeper.push(Layer::Upconv { out, factor: 2 });
        layers = double(out);
        layers.push(Layer::Concat(vec![vec![], deeper]));
        layers.extend(double(out));
    }
    layers.push(conv(2, 1, 1, 0));
    Network { name: "U-Net", input: Size::Image(1, 256, 256), layers }
}

/// One recurrent layer over `steps` time steps: `gates` is 1 for a plain one, 3 for GRU, 4 for LSTM.
pub fn recurrent(name: &'static str, inputs: usize, hidden: usize, gates: usize, steps: usize) -> Network {
    Network { name, input: Size::Tokens(steps, inputs), layers: vec![Layer::Recurrent { hidden, gates }] }
}

/// Attention and feed-forward, each with a norm and added to its input.
fn encoder_layer(d: usize, feed_forward: usize) -> Vec<Layer> {
    let inner = vec![dense(feed_forward), Layer::Activation, dense(d)];
    vec![
        Layer::Add(vec![vec![Layer::Attention], vec![]]),
        Layer::Norm,
        Layer::Add(vec![inner, vec![]]),
        Layer::Norm,
    ]
}

/// One layer of a Transformer encoder of width `d` on `tokens` tokens.
pub fn transformer_encoder_layer(d: usize, feed_forward: usize, tokens: usize) -> Network {
    Network {
        name: "Transformer layer",
        input: Size::Tokens(tokens, d),
        layers: encoder_layer(d, feed_forward),
    }
}

/// GPT-2 small on a full context; the output matrix is the embedding's and not counted twice.
pub fn gpt2_small() -> Network {
    let mut layers =
        vec![Layer::Embedding { vocabulary: 50_257, features: 768 }, Layer::Positions { longest: 1024 }];
    (0..12).for_each(|_| layers.extend(encoder_layer(768, 3072)));
    layers.push(Layer::Norm);
    Network { name: "GPT-2 small", input: Size::Vector(1024), layers }
}

/// BERT base on 512 tokens, with the pooler.
pub fn bert_base() -> Network {
    let mut layers =
        vec![Layer::Embedding { vocabulary: 30_522, features: 768 }, Layer::Positions { longest: 512 }];
    layers.extend([Layer::Segments { kinds: 2 }, Layer::Norm]);
    (0..12).for_each(|_| layers.extend(encoder_layer(768, 3072)));
    layers.extend([Layer::GlobalMean, dense(768)]);
    Network { name: "BERT base", input: Size::Vector(512), layers }
}

/// A neural differential equation for MNIST's digits (Chen et al. 2018, section 3; layers as in the authors' program
/// `odenet_mnist`): two convolutions that shrink, the flow of two convolutions that read the time as one more channel, and a
/// classifier. A solver with error control decides itself how often it evaluates; 20 are five steps of fourth order.
///
/// ```
/// let cost = optim::architecture::zoo::neural_ode().cost()?;
/// assert_eq!(cost.parameters, 208_266);
/// # Ok::<(), optim::Error>(())
/// ```
pub fn neural_ode() -> Network {
    let shrink = || [conv(64, 4, 2, 1), Layer::Norm, Layer::InPlace];
    let half = || [Layer::InPlace, Layer::Time, conv(64, 3, 1, 1), Layer::Norm];
    let mut layers = vec![conv(64, 3, 1, 0), Layer::Norm, Layer::InPlace];
    layers.extend(shrink());
    layers.push(conv(64, 4, 2, 1));
    let field = [vec![Layer::Norm], half().into(), half().into()].concat();
    layers.push(Layer::Flow { field, evaluations: 20 });
    layers.extend([Layer::Norm, Layer::InPlace, Layer::GlobalMean, dense(10)]);
    Network { name: "neural ODE", input: Size::Image(1, 28, 28), layers }
}

/// The auto-encoder 784-128-32-128-784.
pub fn autoencoder() -> Network {
    mlp("auto-encoder", &[784, 128, 32, 128, 784])
}

/// A graph convolutional network 1433-16-7 on the 2708 papers of Cora with 13 264 edges, loops counted.
pub fn gcn() -> Network {
    let edges = 13_264;
    let layers =
        vec![Layer::GraphConv { out: 16, edges }, Layer::Activation, Layer::GraphConv { out: 7, edges }];
    Network { name: "GCN", input: Size::Tokens(2708, 1433), layers }
}

/// One block of each family, as the networks above have it, by the name of the family.
pub fn families() -> [Network; 8] {
    let block = |name, input, layers| Network { name, input, layers };
    let mut attention = encoder_layer(128, 512);
    attention.truncate(2); // without the feed-forward part
    [
        mlp("fully connected", &[784, 30, 10]),
        block("convolutional", Size::Image(64, 112, 112), vgg_block(2, 128)),
        block("residual", Size::Image(64, 56, 56), residual_block(64, 64, 1)),
        block("dense", Size::Image(64, 56, 56), vec![dense_layer(), dense_layer()]),
        block("inception", Size::Image(192, 28, 28), vec![inception([64, 96, 128, 16, 32, 32])]),
        block("separable", Size::Image(32, 28, 28), inverted_residual(32, 6, 32, 1)),
        recurrent("recurrent", 64, 128, 4, 32),
        block("attention", Size::Tokens(32, 128), attention),
    ]
}

/// All of them, from small to large.
pub fn all() -> Vec<Network> {
    vec![
        mlp("MLP 784-30-10", &[784, 30, 10]),
        lenet5(),
        autoencoder(),
        gcn(),
        recurrent("LSTM 64-128, 32 steps", 64, 128, 4, 32),
        transformer_encoder_layer(128, 512, 32),
        neural_ode(),
        squeezenet(),
        mobilenet_v2(),
        googlenet(),
        densenet121(),
        resnet("ResNet-18", [2, 2, 2, 2]),
        resnet("ResNet-34", [3, 4, 6, 3]),
        resnet_bottleneck("ResNeXt-50 32×4d", [3, 4, 6, 3], 32, 4),
        resnet_bottleneck("ResNet-50", [3, 4, 6, 3], 1, 64),
        unet(),
        resnet_bottleneck("ResNet-101", [3, 4, 23, 3], 1, 64),
        alexnet(),
        resnet_bottleneck("Wide ResNet-50-2", [3, 4, 6, 3], 1, 128),
        bert_base(),
        gpt2_small(),
        vgg(true),
        vgg(false),
    ]
}
