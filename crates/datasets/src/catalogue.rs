//! The sets that are too large to embed, or whose terms forbid it: where they come from and how they are recognised.
use crate::registry::NamedSplit;

/// How a file is known to be the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// sha256 of the unpacked content: two packings of it are the same file.
    Unpacked(&'static str),
    /// sha256 of the file as it is published.
    Packed(&'static str),
    /// md5 of the file, where nothing better is published.
    Md5(&'static str),
    /// Nothing is published: the sha256 at the first import is recorded and holds from then on.
    FirstSeen,
}

/// One file of a [`DiskSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskFile {
    /// The file's name, that of its publisher.
    pub name: &'static str,
    /// Where it can be fetched, tried in order; empty when it must be imported.
    pub urls: &'static [&'static str],
    /// Length in bytes as published, where known.
    pub bytes: Option<u64>,
    /// How it is recognised.
    pub identity: Identity,
}

/// A set that a user fetches or imports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiskSet {
    /// Its name on the command line, and of its folder.
    pub name: &'static str,
    /// One sentence on what it is.
    pub title: &'static str,
    /// Its files.
    pub files: &'static [DiskFile],
    /// Folders in which an operating system's package puts these files.
    pub system: &'static [&'static str],
    /// The parts as published.
    pub split: Option<NamedSplit>,
    /// Terms in short.
    pub licence: &'static str,
    /// What to cite.
    pub citation: &'static str,
    /// How to get it when there is no address to fetch it from.
    pub by_hand: &'static str,
}

impl DiskSet {
    /// Whether every file has an address.
    pub fn can_be_fetched(&self) -> bool {
        self.files.iter().all(|file| !file.urls.is_empty())
    }
}

macro_rules! fashion_file {
    ($name:literal, $sha256:literal) => {
        DiskFile {
            name: $name,
            urls: &[concat!(
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
                $name
            )],
            bytes: None,
            identity: Identity::Unpacked($sha256),
        }
    };
}

/// Fashion-MNIST in full.
pub const FASHION_MNIST: DiskSet = DiskSet {
    name: "fashion-mnist",
    title: "Fashion-MNIST, 70,000 articles of clothing, 28 x 28 pixels, 10 classes",
    files: &[
        fashion_file!(
            "train-images-idx3-ubyte.gz",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        fashion_file!(
            "train-labels-idx1-ubyte.gz",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        fashion_file!(
            "t10k-images-idx3-ubyte.gz",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        fashion_file!(
            "t10k-labels-idx1-ubyte.gz",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        ),
    ],
    system: &["/usr/share/datasets/fashion-mnist"],
    split: Some(NamedSplit {
        name: "on_disk::fashion_mnist()",
        train: 60_000,
        validation: 0,
        test: 10_000,
        note: "as published",
    }),
    licence: "MIT",
    citation: "H. Xiao, K. Rasul, R. Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine \
               learning algorithms, arXiv 1708.07747",
    by_hand: "",
};

macro_rules! mnist_file {
    ($name:literal, $bytes:literal, $sha256:literal) => {
        DiskFile {
            name: $name,
            urls: &[
                concat!("https://ossci-datasets.s3.amazonaws.com/mnist/", $name),
                concat!("https://storage.googleapis.com/cvdf-datasets/mnist/", $name),
            ],
            bytes: Some($bytes),
            identity: Identity::Packed($sha256),
        }
    };
}

/// MNIST in full.
pub const MNIST: DiskSet = DiskSet {
    name: "mnist",
    title: "MNIST, 70,000 handwritten digits, 28 x 28 pixels, 10 classes",
    files: &[
        mnist_file!(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        mnist_file!(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        mnist_file!(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        mnist_file!(
            "t10k-labels-idx1-ubyte.gz",
            4542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    ],
    system: &[],
    split: Some(NamedSplit {
        name: "on_disk::mnist()",
        train: 60_000,
        validation: 0,
        test: 10_000,
        note: "as published",
    }),
    licence: "unverified",
    citation: "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998), Gradient-based learning applied to document \
               recognition, Proceedings of the IEEE 86(11), 2278-2324",
    by_hand: "",
};

const KRIZHEVSKY: &str =
    "A. Krizhevsky (2009), Learning multiple layers of features from tiny images, University of Toronto";

/// CIFAR-10.
pub const CIFAR_10: DiskSet = DiskSet {
    name: "cifar-10",
    title: "CIFAR-10, 60,000 photographs, 32 x 32 pixels in colour, 10 classes",
    files: &[DiskFile {
        name: "cifar-10-binary.tar.gz",
        urls: &["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"],
        bytes: Some(170_052_171),
        identity: Identity::Md5("c32a1d4ab5d03f1284b67883e8d87530"),
    }],
    system: &[],
    split: Some(NamedSplit {
        name: "on_disk::cifar_10()",
        train: 50_000,
        validation: 0,
        test: 10_000,
        note: "as published",
    }),
    licence: "none stated",
    citation: KRIZHEVSKY,
    by_hand: "",
};

/// CIFAR-100.
pub const CIFAR_100: DiskSet = DiskSet {
    name: "cifar-100",
    title: "CIFAR-100, 60,000 photographs, 32 x 32 pixels in colour, 100 classes",
    files: &[DiskFile {
        name: "cifar-100-binary.tar.gz",
        urls: &["https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"],
        bytes: Some(168_513_733),
        identity: Identity::Md5("03b5dce01913d631647c71ecec9e9cb8"),
    }],
    system: &[],
    split: Some(NamedSplit {
        name: "on_disk::cifar_100()",
        train: 50_000,
        validation: 0,
        test: 10_000,
        note: "as published",
    }),
    licence: "none stated",
    citation: KRIZHEVSKY,
    by_hand: "",
};

const fn imported(name: &'static str, identity: Identity) -> DiskFile {
    DiskFile { name, urls: &[], bytes: None, identity }
}

macro_rules! planetoid {
    ($constant:ident, $name:literal, $title:literal, $train:literal, $nodes:expr, $edges:expr) => {
        #[doc = concat!("The citation graph ", $name, ".")]
        pub const $constant: DiskSet = DiskSet {
            name: $name,
            title: $title,
            files: &[
                imported(concat!($name, ".tsv.gz"), $nodes),
                imported(concat!($name, "-edges.tsv.gz"), $edges),
            ],
            system: &[],
            split: Some(NamedSplit {
                name: concat!("on_disk::planetoid(\"", $name, "\")"),
                train: $train,
                validation: 500,
                test: 1000,
                note: "20 of each class train; the other nodes have no part but all are seen",
            }),
            licence: "unclear",
            citation: "Z. Yang, W. W. Cohen, R. Salakhutdinov (2016), Revisiting semi-supervised learning with graph \
                       embeddings, ICML",
            by_hand: "convert the Planetoid release (github.com/kimiyoung/planetoid) to tables as the module \
                      `planetoid` describes",
        };
    };
}
planetoid!(
    CORA,
    "cora",
    "Cora, 2,708 papers, 5,278 citations, 1,433 words, 7 classes",
    140,
    Identity::Unpacked("9673300acb39ede64836df28c1a93685028e304649fd0dd9c8511abca959c268"),
    Identity::Unpacked("2f5bb9af37a9d47271a7cee6c89400c527c0f63e3698c7d384d7a5101455f9a3")
);
planetoid!(
    CITESEER,
    "citeseer",
    "Citeseer, 3,327 papers, 4,552 citations, 3,703 words, 6 classes",
    120,
    Identity::Unpacked("ccf072ad9eb490ec05da3016f98af37223af705344bb4cd74604cdbdc8888a59"),
    Identity::Unpacked("79e8f8477e4dd7ed8c9a3a778a7e3e777781a890d7077a74b52074bcf7d2a4d4")
);

/// ESOL, Delaney's solubilities.
pub const ESOL: DiskSet = DiskSet {
    name: "esol",
    title: "ESOL, 1,128 molecules with their solubility in water",
    files: &[imported("delaney-processed.csv", Identity::FirstSeen)],
    system: &[],
    split: None,
    licence: "unverified",
    citation: "J. S. Delaney (2004), ESOL: estimating aqueous solubility directly from molecular structure, Journal of \
               Chemical Information and Computer Sciences 44, 1000-1005",
    by_hand: "get `delaney-processed.csv` of DeepChem",
};

/// Embryoid bodies over 27 days, as TrajectoryNet uses them.
pub const EMBRYOID_BODY: DiskSet = DiskSet {
    name: "embryoid-body",
    title: "embryoid bodies over 27 days, single cells in five time points, principal components and velocities",
    files: &[DiskFile {
        name: "eb_velocity_v5.npz",
        urls: &[
            "https://raw.githubusercontent.com/KrishnaswamyLab/TrajectoryNet/master/data/eb_velocity_v5.npz",
        ],
        bytes: None,
        identity: Identity::FirstSeen,
    }],
    system: &[],
    split: None,
    licence: "unverified",
    citation: "A. Tong, J. Huang, G. Wolf, D. van Dijk, S. Krishnaswamy (2020), TrajectoryNet: a dynamic optimal \
               transport network for modeling cellular dynamics, ICML",
    by_hand: "",
};

/// Every set that a user fetches or imports.
pub const DISK_SETS: &[DiskSet] =
    &[FASHION_MNIST, MNIST, CIFAR_10, CIFAR_100, CORA, CITESEER, ESOL, EMBRYOID_BODY];
