//! Small graphs on paper: where nodes go, and a line along all edges.

/// One line that goes along every edge of a connected graph: forward and back, deeper where the node is new.
pub(super) fn along_edges(neighbours: &[Vec<usize>], places: &[[f64; 2]]) -> Vec<(f64, f64)> {
    fn walk(neighbours: &[Vec<usize>], node: usize, seen: &mut [bool], path: &mut Vec<usize>) {
        seen[node] = true;
        path.push(node);
        for &next in &neighbours[node] {
            if seen[next] {
                path.extend([next, node]);
            } else {
                walk(neighbours, next, seen, path);
                path.push(node);
            }
        }
    }
    let (mut seen, mut path) = (vec![false; neighbours.len()], Vec::new());
    walk(neighbours, 0, &mut seen, &mut path);
    path.into_iter().map(|i| (places[i][0], places[i][1])).collect()
}

/// Places whose distances are near the numbers of edges between the nodes of a connected graph: stress majorisation
/// (Gansner, Koren & North 2004, "Graph drawing by stress majorization"), the best of forty starts.
pub(super) fn stress_layout(neighbours: &[Vec<usize>]) -> Vec<[f64; 2]> {
    let n = neighbours.len();
    let mut distance = vec![vec![0.0; n]; n];
    for (from, row) in distance.iter_mut().enumerate() {
        let (mut seen, mut edge) = (vec![false; n], vec![from]);
        seen[from] = true;
        for steps in 1.. {
            let next: Vec<usize> = edge.iter().flat_map(|&i| neighbours[i].iter().copied()).collect();
            edge = next.into_iter().filter(|&i| !std::mem::replace(&mut seen[i], true)).collect();
            if edge.is_empty() {
                break;
            }
            edge.iter().for_each(|&i| row[i] = f64::from(steps));
        }
    }
    let apart = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]).max(1e-9);
    let layout = |start: u32| {
        let spiral = |i: usize| {
            let (radius, angle) = ((i as f64).sqrt(), i as f64 * (f64::from(start) + 0.5).sqrt());
            [radius * angle.cos(), radius * angle.sin()]
        };
        let mut places: Vec<[f64; 2]> = (1..=n).map(spiral).collect();
        for _ in 0..300 {
            for i in 0..n {
                let (mut sum, mut weights) = ([0.0; 2], 0.0);
                for j in (0..n).filter(|&j| j != i) {
                    let (d, weight) = (distance[i][j], distance[i][j].powi(-2));
                    let pull = d / apart(places[i], places[j]);
                    for axis in 0..2 {
                        sum[axis] += weight * (places[j][axis] + pull * (places[i][axis] - places[j][axis]));
                    }
                    weights += weight;
                }
                places[i] = sum.map(|sum| sum / weights);
            }
        }
        let pairs = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
        let stress =
            pairs.map(|(i, j)| (apart(places[i], places[j]) / distance[i][j] - 1.0).powi(2)).sum::<f64>();
        (stress, places)
    };
    let all = (0..40).map(layout);
    all.min_by(|a, b| a.0.total_cmp(&b.0)).map_or_else(Vec::new, |(_, places)| places)
}
