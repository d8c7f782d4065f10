//! Where a shape has its channels.
use dfdx::prelude::*;

/// A shape whose second axis is the channels: `(N, C)`, `(N, C, L)` or `(N, C, H, W)`.
pub trait ChannelsSecond: Shape {
    /// The axis of the channels.
    type Channels: Dim;
    /// The same shape with other channels.
    type WithChannels<C: Dim>: ChannelsSecond<Channels = C>;
    /// The axis of the channels.
    fn channels(&self) -> Self::Channels;
    /// This shape with other channels.
    fn with_channels<C: Dim>(&self, channels: C) -> Self::WithChannels<C>;
    /// Samples, channels, and positions within a channel.
    fn volume(&self) -> (usize, usize, usize) {
        let mut axes = self.concrete().into_iter();
        let (samples, channels) = (axes.next().unwrap_or(1), axes.next().unwrap_or(1));
        (samples, channels, axes.product())
    }
}

impl<N: Dim, C: Dim> ChannelsSecond for (N, C) {
    type Channels = C;
    type WithChannels<C2: Dim> = (N, C2);
    fn channels(&self) -> C {
        self.1
    }
    fn with_channels<C2: Dim>(&self, channels: C2) -> (N, C2) {
        (self.0, channels)
    }
}
impl<N: Dim, C: Dim, L: Dim> ChannelsSecond for (N, C, L) {
    type Channels = C;
    type WithChannels<C2: Dim> = (N, C2, L);
    fn channels(&self) -> C {
        self.1
    }
    fn with_channels<C2: Dim>(&self, channels: C2) -> (N, C2, L) {
        (self.0, channels, self.2)
    }
}
impl<N: Dim, C: Dim, H: Dim, W: Dim> ChannelsSecond for (N, C, H, W) {
    type Channels = C;
    type WithChannels<C2: Dim> = (N, C2, H, W);
    fn channels(&self) -> C {
        self.1
    }
    fn with_channels<C2: Dim>(&self, channels: C2) -> (N, C2, H, W) {
        (self.0, channels, self.2, self.3)
    }
}

/// A shape whose last axis is the features: `(F)`, `(B, F)`, `(B, T, F)` or four axes.
pub trait LastAxis: Shape {
    /// The axis of the features.
    type Features: Dim;
    /// That axis.
    fn features(&self) -> Self::Features;
    /// Rows, and features of a row.
    fn rows(&self) -> (usize, usize) {
        let features = self.features().size();
        (self.num_elements().checked_div(features).unwrap_or(0), features)
    }
}

impl<F: Dim> LastAxis for (F,) {
    type Features = F;
    fn features(&self) -> F {
        self.0
    }
}
impl<A: Dim, F: Dim> LastAxis for (A, F) {
    type Features = F;
    fn features(&self) -> F {
        self.1
    }
}
impl<A: Dim, B: Dim, F: Dim> LastAxis for (A, B, F) {
    type Features = F;
    fn features(&self) -> F {
        self.2
    }
}
impl<A: Dim, B: Dim, C: Dim, F: Dim> LastAxis for (A, B, C, F) {
    type Features = F;
    fn features(&self) -> F {
        self.3
    }
}
