import { runSchedules } from './schedules.ts';

runSchedules(4, 4);
