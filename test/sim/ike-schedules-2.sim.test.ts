import { runSchedules } from './schedules.ts';

runSchedules(2, 4);
